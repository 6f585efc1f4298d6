package bearer

import (
	"mime"
	"net/http"
	"strings"
)

const formType = "application/x-www-form-urlencoded"

// ReadsBody reports whether Extract would read the body of this request: there is a form place, and RFC 6750 section
// 2.2 lets a body of this kind hold a token. Reading blocks until the client has sent the body, so the caller should
// first set a read deadline on the connection.
func (e *Extractor) ReadsBody(r *http.Request) bool {
	if len(e.form) == 0 || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return false
	}
	ours, err := isForm(r)
	return ours && err == nil
}

// isForm reports whether the request carries a form that may hold a token. Its method must give a body a meaning, its
// media type must be that of forms, and it must have no content coding. Nothing else is read, multipart in particular.
func isForm(r *http.Request) (bool, error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return false, nil
	}
	types := r.Header["Content-Type"]
	if len(types) == 0 {
		return false, nil
	}
	form := false
	for _, value := range types {
		form = form || isFormType(value)
	}
	if !form {
		return false, nil
	}
	if len(types) > 1 {
		// Readers disagree about which of them counts.
		return false, errTwoFields
	}
	for _, coding := range r.Header["Content-Encoding"] {
		if coding != "" && !equalFold(strings.Trim(coding, blank), "identity") {
			return false, nil
		}
	}
	return true, nil
}

func isFormType(value string) bool {
	value = strings.Trim(value, blank)
	if len(value) < len(formType) || !equalFold(value[:len(formType)], formType) {
		return false
	}
	if len(value) == len(formType) {
		return true
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil || media != formType {
		return false
	}
	for name, text := range params {
		if name != "charset" || !equalFold(text, "utf-8") {
			return false
		}
	}
	return true
}

// ReadForm reads a form that may hold a token, as Extract does, so that Remove finds the token in it. It looks at no
// other place, and judges no token. The errors are those of Extract, except for ErrMissing.
func (e *Extractor) ReadForm(r *http.Request) error {
	if len(e.form) == 0 {
		return nil
	}
	ours, err := isForm(r)
	if err != nil || !ours {
		return err
	}
	_, err = e.readForm(r)
	return err
}

// extractForm looks for the form places in the body.
func (e *Extractor) extractForm(r *http.Request, found *Credential) error {
	if ours, err := isForm(r); err != nil || !ours {
		return err
	}
	text, err := e.readForm(r)
	if err != nil {
		return err
	}
	for i := range e.places {
		if e.places[i].Kind != Form {
			continue
		}
		value, err := findParam(text, e.places[i].Name)
		if err != nil {
			return err
		}
		if !value.ok {
			continue
		}
		if !isASCII(text) {
			return errAmbiguous // RFC 6750 section 2.2: the content is entirely ASCII
		}
		// Cloned, so that whoever keeps the token does not keep the whole body.
		value.text = strings.Clone(value.text)
		if err := e.take(found, i, value); err != nil {
			return err
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// readForm reads the body to its end and puts it back.
func (e *Extractor) readForm(r *http.Request) (string, error) {
	return bodyReader{max: e.maxForm, memory: e.forms, tooLarge: e.formLimit}.read(r)
}
