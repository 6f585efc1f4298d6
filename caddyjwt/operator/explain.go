package operator

import (
	"errors"
	"net/http"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/paste"
)

// Question asks why a gate refuses a token or a request.
type Question struct {
	// Input is a token, a header line, a curl command, an HTTP request, or the JSON answer of a token endpoint.
	Input string `json:"input"`
	// Site is the host of the gates; Route is a path, or the number or name of a gate. Empty means all.
	Site  string `json:"site,omitempty"`
	Route string `json:"route,omitempty"`
}

// maxQuestion bounds the body of a question, in bytes. In JSON, a text may take several times its length.
const maxQuestion = 3 * paste.MaxInput

// explain judges what the body has by the gates in force. They use the keys and answers that they have, fetch what they
// lack, and know what is revoked, as for any request. Nothing is counted, and nobody gets in.
func (a *adminAPI) explain(r *http.Request) (any, error) {
	var q Question
	if err := adminroute.Read(r.Body, maxQuestion, &q); err != nil {
		return nil, wrong(err)
	}
	if q.Input == "" {
		return nil, wrong(errors.New(`"input" is missing: a token, a header line, a curl command or an HTTP request`))
	}
	in, err := paste.Read(q.Input)
	if err != nil {
		return nil, wrong(err)
	}
	var gates []*explain.Gate
	for _, known := range process.Shared().Gates.Gates() {
		gates = append(gates, known.Explained())
	}
	report, err := explain.Explain(r.Context(), gates, explain.Order{Input: in, Site: q.Site, Route: q.Route})
	if err != nil {
		return nil, wrong(err)
	}
	return report, nil
}
