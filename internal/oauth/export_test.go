package oauth

import "time"

// Paces are paces.
type Paces struct{ paces }

// Take counts one more.
func (p *Paces) Take(id string, most int, within, now time.Duration) time.Duration {
	return p.take(id, most, within, now)
}

// Len is how many clients are remembered.
func (p *Paces) Len() int { return len(p.next) }

// TireOfRevoking has a client wait for hours before it can revoke another token.
func (s *Server) TireOfRevoking(id string) {
	for range mostRevoked {
		s.revoked.take(id, mostRevoked, 24*time.Hour, time.Since(s.begun))
	}
}
