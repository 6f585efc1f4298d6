package command

import (
	"encoding/json"
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
)

// readWritten reads what a configuration, which is JSON, says about revoked tokens. An error is the one that Caddy
// would report when it loads the configuration.
func readWritten(text []byte) (*revocations.Written, error) {
	var config struct {
		Apps struct {
			App caddyjwt.App `json:"bearer_auth"`
		}
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	var handlers []*caddyjwt.Handler
	if err := findHandlers(tree, &handlers); err != nil {
		return nil, err
	}
	written := &revocations.Written{Settings: config.Apps.App.RevocationSettings()}
	if written.Settings.Store == nil {
		return nil, revocations.ErrNoStore // before an issuer lacks a max_lifetime that only a store needs
	}
	for _, h := range handlers {
		owners, err := h.Owners()
		if err != nil {
			return nil, fmt.Errorf("this configuration would not load: %w", err)
		}
		written.Owners = append(written.Owners, owners...)
	}
	return written, nil
}
