package tokentest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

// IntrospectionRequest is one question that arrived at the introspection endpoint (RFC 7662 section 2.1).
type IntrospectionRequest struct {
	Token         string
	TokenTypeHint string
	Form          url.Values
	Header        http.Header
	ClientID      string // as the client presented it, by any method
	AuthMethod    string // "client_secret_basic", "client_secret_post", "bearer", "client_assertion", "none"
	Authenticated bool   // false: the server itself answered 401
}

// IntrospectionAnswer is what the endpoint answers. Body wins over Claims. Without either, the token is inactive.
type IntrospectionAnswer struct {
	Status      int            // default 200
	Claims      map[string]any // written as JSON
	Body        string         // written as it is
	ContentType string         // default application/json
	Header      http.Header
}

type client struct{ id, secret string }

// SetClient makes the introspection endpoint demand this client's authentication, by HTTP Basic or in the form (RFC
// 6749 section 2.3.1). Without it anybody may ask.
func (as *AS) SetClient(id, secret string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.client = client{id, secret}
}

// Introspect sets who answers questions; nil answers inactive to all.
func (as *AS) Introspect(answer func(*IntrospectionRequest) IntrospectionAnswer) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.answer = answer
}

// IntrospectionRequests are the questions that have arrived so far.
func (as *AS) IntrospectionRequests() []*IntrospectionRequest {
	as.mu.Lock()
	defer as.mu.Unlock()
	return slices.Clone(as.asked)
}

func (as *AS) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	as.mu.Lock()
	request := as.read(r)
	as.asked = append(as.asked, request)
	answer := as.answer
	as.mu.Unlock()
	switch {
	case !request.Authenticated:
		w.Header().Set("WWW-Authenticate", `Basic realm="introspection"`)
		writeAnswer(w, IntrospectionAnswer{
			Status: http.StatusUnauthorized, Claims: map[string]any{"error": "invalid_client"},
		})
	case answer == nil:
		writeAnswer(w, IntrospectionAnswer{})
	default:
		writeAnswer(w, answer(request))
	}
}

// read parses the question and checks the client's authentication. The caller holds the lock.
func (as *AS) read(r *http.Request) *IntrospectionRequest {
	request := &IntrospectionRequest{
		Token: r.PostForm.Get("token"), TokenTypeHint: r.PostForm.Get("token_type_hint"),
		Form: r.PostForm, Header: r.Header.Clone(), AuthMethod: "none",
	}
	var secret string
	if user, password, ok := r.BasicAuth(); ok {
		// Both are form-encoded before they are joined (RFC 6749 section 2.3.1).
		id, err1 := url.QueryUnescape(user)
		pass, err2 := url.QueryUnescape(password)
		if err1 == nil && err2 == nil {
			request.AuthMethod, request.ClientID, secret = "client_secret_basic", id, pass
		}
	} else if r.PostForm.Has("client_secret") {
		request.AuthMethod, request.ClientID = "client_secret_post", r.PostForm.Get("client_id")
		secret = r.PostForm.Get("client_secret")
	} else if r.PostForm.Has("client_assertion") {
		request.AuthMethod, request.ClientID = "client_assertion", r.PostForm.Get("client_id")
	} else if r.Header.Get("Authorization") != "" {
		request.AuthMethod = "bearer"
	}
	request.Authenticated = as.client == client{} || as.client == client{request.ClientID, secret}
	return request
}

func writeAnswer(w http.ResponseWriter, answer IntrospectionAnswer) {
	w.Header().Set("Content-Type", "application/json")
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	body := answer.Body
	if body == "" {
		claims := answer.Claims
		if claims == nil {
			claims = map[string]any{"active": false}
		}
		text, err := json.Marshal(claims)
		if err != nil {
			panic("tokentest: " + err.Error())
		}
		body = string(text)
	}
	if answer.Status != 0 {
		w.WriteHeader(answer.Status)
	}
	_, _ = w.Write([]byte(body))
}
