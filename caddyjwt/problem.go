package caddyjwt

import "github.com/caddyjwt/gateway/internal/setting"

// checkErrorFormat refuses a format that does not exist.
func (h *Handler) checkErrorFormat() error {
	if h.ErrorFormat == "" || h.ErrorFormat == "problem" {
		return nil
	}
	return setting.Errorf("ErrorFormat", "unknown error_format %q: the only one is problem; leave it out for no body, "+
		"or to write one in handle_errors", h.ErrorFormat)
}
