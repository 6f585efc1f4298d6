package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// configFile is the configuration that a tool looks at, as its flags name it.
type configFile struct{ path, adapter string }

// addTo adds the flags.
func (c *configFile) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&c.path, "config", "c", "Caddyfile", "Configuration file")
	flags.StringVarP(&c.adapter, "adapter", "a", "", "Config adapter (default: caddyfile, unless the file ends in .json)")
}

// handlers reads the bearer_auth handlers of the config, in a fixed order.
func (c *configFile) handlers() ([]*caddyjwt.Handler, error) {
	text, err := c.json()
	if err != nil {
		return nil, err
	}
	return c.handlersIn(text)
}

// handlersIn is handlers for the text of the config.
func (c *configFile) handlersIn(text []byte) ([]*caddyjwt.Handler, error) {
	var config any
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.path, err)
	}
	var handlers []*caddyjwt.Handler
	err := findHandlers(config, &handlers)
	return handlers, err
}

// json is the config as JSON.
func (c *configFile) json() ([]byte, error) {
	text, err := os.ReadFile(c.path)
	if err != nil {
		return nil, err
	}
	adapter := c.adapter
	if adapter == "" && !strings.HasSuffix(c.path, ".json") {
		adapter = "caddyfile"
	}
	if adapter != "" {
		cfgAdapter := caddyconfig.GetAdapter(adapter)
		if cfgAdapter == nil {
			return nil, fmt.Errorf("unknown config adapter %q", adapter)
		}
		if text, _, err = cfgAdapter.Adapt(text, map[string]any{"filename": c.path}); err != nil {
			return nil, fmt.Errorf("adapting %s: %w", c.path, err)
		}
	}
	return text, nil
}

// findHandlers collects the bearer_auth handlers anywhere in a config: routes may nest to any depth.
func findHandlers(node any, found *[]*caddyjwt.Handler) error {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			if err := findHandlers(element, found); err != nil {
				return err
			}
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			text, err := json.Marshal(node)
			if err != nil {
				return err
			}
			h := new(caddyjwt.Handler)
			if err := json.Unmarshal(text, h); err != nil {
				return fmt.Errorf("reading a bearer_auth handler: %w", err)
			}
			*found = append(*found, h)
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(node)) { // sorted, so that each run finds the same consumer
			if err := findHandlers(node[name], found); err != nil {
				return err
			}
		}
	}
	return nil
}
