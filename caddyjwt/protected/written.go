package protected

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/resource"
)

// Served is what becomes of requests for the metadata of a resource.
type Served struct {
	Resource resource.Identifier
	// Server is Caddy's name for the HTTP server that serves the metadata. It is empty if surely none does.
	Server string
	// By is the handler that answers such requests instead; empty if none surely does.
	By string
}

// ServedIn says for each resource of a configuration that is not loaded whether its metadata is served. It is an error
// if a handler serves the metadata of another resource: then the configuration would not load.
func ServedIn(config []byte, guarded []resource.Identifier) ([]Served, error) {
	servers, err := reach.Read(config)
	if err != nil {
		return nil, err
	}
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	if err := eachServed(tree, guarded); err != nil {
		return nil, err
	}
	var all []Served
	for _, id := range guarded {
		found := Served{Resource: id}
		if result := writtenMetadata(id).In(servers); result.Reached {
			found.Server = result.Server
		} else {
			found.By = result.By
		}
		all = append(all, found)
	}
	return all, nil
}

// eachServed checks all handlers protected_resource, wherever they are.
func eachServed(node any, guarded []resource.Identifier) error {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			if err := eachServed(element, guarded); err != nil {
				return err
			}
		}
	case map[string]any:
		if text, is := node["resource"].(string); is && node["handler"] == "protected_resource" {
			return isGuarded(resolved(text), guarded)
		}
		for _, element := range node {
			if err := eachServed(element, guarded); err != nil {
				return err
			}
		}
	}
	return nil
}

// isGuarded returns an error about a resource that no gate has.
func isGuarded(name string, guarded []resource.Identifier) error {
	names := make([]string, len(guarded))
	for i, id := range guarded {
		if names[i] = id.String(); names[i] == name {
			return nil
		}
	}
	return fmt.Errorf("protected_resource %s: no bearer_auth has this resource: %s", name, instead(name, names))
}

// resolved is a text with its placeholders resolved, as far as they are known here.
func resolved(text string) string {
	value, _, err := words.NewSettings().Text("resource", text)
	if err != nil {
		return text
	}
	return value
}

// writtenMetadata is metadataOf for handlers that are only read.
func writtenMetadata(id resource.Identifier) reach.Document {
	return reach.Document{
		Host: id.Host(), Path: id.MetadataPath(), Behind: cmp.Or(id.Path(), "/"),
		Serves: func(handler caddyhttp.MiddlewareHandler) bool {
			h, is := handler.(*reach.Written)
			var name string
			return is && h.Name == "protected_resource" && json.Unmarshal(h.JSON["resource"], &name) == nil &&
				resolved(name) == id.String()
		},
		Guards: func(handler caddyhttp.MiddlewareHandler) bool {
			h, is := handler.(*reach.Written)
			var guarded struct{ URL string }
			return is && h.Name == "bearer_auth" && json.Unmarshal(h.JSON["resource"], &guarded) == nil &&
				resolved(guarded.URL) == id.String()
		},
		Effect: writtenEffect,
	}
}

// writtenEffect is effectOf for handlers that are only read.
func writtenEffect(handler caddyhttp.MiddlewareHandler) (effect reach.Effect, ours bool) {
	h, is := handler.(*reach.Written)
	switch {
	case !is:
		return reach.Perhaps, false
	case h.Name == "protected_resource":
		return reach.Passes, true
	case h.Name == "bearer_auth" && (h.JSON["optional"] != nil || h.JSON["anonymous"] != nil || h.JSON["public"] != nil):
		return reach.Perhaps, true
	case h.Name == "bearer_auth":
		return reach.Ends, true
	default:
		return reach.Perhaps, false
	}
}
