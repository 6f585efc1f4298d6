package bearer

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// protocolField is the field in which a client offers subprotocols of a WebSocket (RFC 6455 section 11.3.4). It is the
// only one that a page can fill in for a WebSocket.
const protocolField = "Sec-Websocket-Protocol"

// DefaultMarker is the subprotocol that most clients offer directly before a token.
const DefaultMarker = "bearer"

var (
	errProtocols = fmt.Errorf("%w: subprotocols that servers read in different ways, or more than %d", ErrMalformed,
		maxProtocols)
	errMarker    = fmt.Errorf("%w: the marker of a token among the subprotocols in another letter case", ErrMalformed)
	errUnmarked  = fmt.Errorf("%w: the marker of a token among the subprotocols, and no token behind it", ErrMalformed)
	errEncoding  = fmt.Errorf("%w: a token among the subprotocols that is not base64url without padding", ErrMalformed)
	errHandshake = fmt.Errorf("%w: a token among the subprotocols of a request that opens no WebSocket", ErrMalformed)
)

// Subprotocols are the markers of the places for a token among the subprotocols of a WebSocket. A marker that ends in a
// dot is a prefix, and the rest of its subprotocol is the token in base64url, as Kubernetes has it. Any other marker is
// a subprotocol of its own, and the next one is the token.
type Subprotocols []string

// SubprotocolsOf finds the markers among places. It is nil if there are none.
func SubprotocolsOf(places []Place) (s Subprotocols) {
	for _, p := range places {
		if p.Kind == Subprotocol {
			s = append(s, p.Name)
		}
	}
	return s
}

// isPrefix reports whether the token follows a marker in the same subprotocol.
func isPrefix(marker string) bool { return strings.HasSuffix(marker, ".") }

// holds reports whether a subprotocol is a marker or begins with one, in any letter case.
func holds(protocol, marker string) bool {
	if isPrefix(marker) {
		return len(protocol) >= len(marker) && equalFold(protocol[:len(marker)], marker)
	}
	return equalFold(protocol, marker)
}

// maxProtocols bounds what a client may offer, since every subprotocol is compared with every other. Pages offer a few.
const maxProtocols = 64

// offered reads the field. Every subprotocol must be a token of RFC 9110 section 5.6.2, as RFC 6455 section 4.1 says.
// Otherwise servers disagree about where one ends, and so about which follows a marker.
func offered(lines []string) (protocols []string, ok bool) {
	for _, line := range lines {
		for protocol := range strings.SplitSeq(line, ",") {
			protocol = strings.Trim(protocol, blank)
			if !isToken(protocol) || len(protocols) == maxProtocols {
				return nil, false
			}
			protocols = append(protocols, protocol)
		}
	}
	return protocols, true
}

// findSubprotocol finds the token behind a marker. A token is accepted only from a client that opens a WebSocket: all
// others can set Authorization.
func findSubprotocol(r *http.Request, marker string) (presented, error) {
	if _, announced := r.Trailer[protocolField]; announced {
		return presented{}, errTrailer
	}
	lines := r.Header[protocolField]
	if len(lines) == 0 {
		return presented{}, nil
	}
	protocols, ok := offered(lines)
	if !ok {
		return presented{}, errProtocols
	}
	var found presented
	at := -1 // where the token is a subprotocol of its own
	for i, protocol := range protocols {
		if !holds(protocol, marker) {
			continue
		}
		var err error
		switch {
		case found.ok:
			err = errTwoValues
		case len(lines) > 1:
			err = errTwoFields
		case !IsWebSocket(r):
			err = errHandshake
		case !strings.HasPrefix(protocol, marker):
			err = errMarker
		case isPrefix(marker):
			found, err = decoded(protocol[len(marker):])
		case i+1 == len(protocols):
			err = errUnmarked
		default:
			found, at = presented{text: protocols[i+1], ok: true}, i+1
		}
		if err != nil {
			return presented{}, err
		}
	}
	for i, protocol := range protocols {
		if found.ok && i != at && protocol == found.text {
			return presented{}, errTwoValues // the backend would get the second one
		}
	}
	return found, nil
}

func decoded(text string) (presented, error) {
	if text == "" {
		return presented{}, errUnmarked
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return presented{}, errEncoding
	}
	return presented{text: string(token), ok: true}, nil
}

// split separates the subprotocols that are markers and tokens from the others. A token in base64url is among ours as
// it is, too.
func (s Subprotocols) split(protocols []string) (ours, others []string) {
	for i, protocol := range protocols {
		for _, marker := range s {
			switch {
			case !holds(protocol, marker):
			case isPrefix(marker):
				token, _ := decoded(protocol[len(marker):])
				ours = append(ours, protocol, token.text)
			default:
				ours = append(ours, protocols[i:min(i+2, len(protocols))]...)
			}
		}
	}
	for _, protocol := range protocols {
		if !slices.Contains(ours, protocol) {
			others = append(others, protocol)
		}
	}
	return ours, others
}

// remove takes markers and tokens out of the field. The others stay in their order. Of a field that servers read in
// different ways, nothing stays: nobody knows what in it is a token.
func (s Subprotocols) remove(h http.Header) {
	lines := h[protocolField]
	if len(s) == 0 || len(lines) == 0 {
		return
	}
	protocols, ok := offered(lines)
	ours, others := s.split(protocols)
	switch {
	case ok && len(ours) == 0:
	case len(others) == 0:
		delete(h, protocolField)
	default:
		h[protocolField] = []string{strings.Join(others, ", ")}
	}
}

// Offer is what a client offers beside subprotocols of the backend.
type Offer struct {
	marker string   // to answer; empty for none
	ours   []string // markers and tokens
	opened int      // status of the answer that opens the WebSocket
}

// Offer finds out what a request that opens a WebSocket offers. Ask before the token is removed. It is nil for any
// other request, and for one that offers no marker.
func (s Subprotocols) Offer(r *http.Request) *Offer {
	lines := r.Header[protocolField]
	if len(s) == 0 || len(lines) == 0 || !IsWebSocket(r) {
		return nil
	}
	protocols, _ := offered(lines)
	offer := &Offer{opened: http.StatusSwitchingProtocols}
	if r.Method == http.MethodConnect {
		offer.opened = http.StatusOK // RFC 8441 section 5
	}
	if offer.ours, _ = s.split(protocols); len(offer.ours) == 0 {
		return nil
	}
	for _, marker := range s {
		if !isPrefix(marker) && slices.Contains(offer.ours, marker) {
			offer.marker = marker
		}
	}
	return offer
}

// Answer completes the header of an answer. If the backend has chosen no subprotocol, the marker is the chosen one:
// browsers fail a WebSocket whose page has offered subprotocols when the answer has none. An answer never has a token,
// not even when a backend that gets the token chooses it. The status is that of the answer.
func (o *Offer) Answer(status int, h http.Header) {
	chosen := false
	for name, values := range h {
		if !equalFold(name, protocolField) { // reverse_proxy writes Sec-WebSocket-Protocol
			continue
		}
		if slices.ContainsFunc(values, o.echoes) {
			delete(h, name)
		} else {
			chosen = chosen || len(values) > 0
		}
	}
	if !chosen && status == o.opened && o.marker != "" {
		h["Sec-WebSocket-Protocol"] = []string{o.marker}
	}
}

// echoes reports whether a value has one of our subprotocols in it.
func (o *Offer) echoes(value string) bool {
	for protocol := range strings.SplitSeq(value, ",") {
		if slices.Contains(o.ours, strings.Trim(protocol, blank)) {
			return true
		}
	}
	return false
}

// Handshake is the header of a GET request that opens a WebSocket with a token behind the marker.
func Handshake(marker, token string) http.Header {
	protocols := marker + ", " + token
	if isPrefix(marker) {
		protocols = marker + base64.RawURLEncoding.EncodeToString([]byte(token))
	}
	return http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, protocolField: {protocols}}
}

// IsWebSocket reports whether a request opens a WebSocket: by Upgrade (RFC 6455 section 4.1), or by CONNECT in HTTP/2
// (RFC 8441 section 5) and HTTP/3 (RFC 9220 section 3). Go's HTTP/2 server has :protocol among the fields, quic-go has
// it in place of the version.
func IsWebSocket(r *http.Request) bool {
	const websocket = "websocket"
	switch {
	case r.ProtoMajor < 2:
		upgrade := r.Header["Upgrade"]
		return r.Method == http.MethodGet && len(upgrade) == 1 && equalFold(upgrade[0], websocket) &&
			slices.ContainsFunc(r.Header["Connection"], func(line string) bool {
				for option := range strings.SplitSeq(line, ",") {
					if equalFold(strings.Trim(option, blank), "upgrade") {
						return true
					}
				}
				return false
			})
	case r.Method != http.MethodConnect:
		return false
	case r.ProtoMajor == 2:
		protocol := r.Header[":protocol"]
		return len(protocol) == 1 && protocol[0] == websocket
	}
	return r.Proto == websocket
}
