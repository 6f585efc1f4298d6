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

// Rooms are rooms.
type Rooms struct{ rooms }

// Wait is how long a client has to wait.
func (r *Rooms) Wait(id string, most int, now time.Duration) time.Duration {
	return r.wait(id, most, now)
}

// Add remembers one thing more.
func (r *Rooms) Add(id string, life, now time.Duration) { r.add(id, life, now) }

// Len is how many clients have a room.
func (r *Rooms) Len() int { return len(r.of) }

// FillRoom has as much remembered for a client as is possible, for most of an hour.
func (s *Server) FillRoom(id string) {
	for range mostRemembered {
		s.remembered.add(id, 50*time.Minute, time.Since(s.begun))
	}
}

// Remembered is how much is remembered for a client.
func (s *Server) Remembered(id string) int {
	if own := s.remembered.of[id]; own != nil {
		return own.sum
	}
	return 0
}

// TireOfRevoking has a client wait for hours before it can revoke another token.
func (s *Server) TireOfRevoking(id string) {
	for range mostRevoked {
		s.revoked.take(id, mostRevoked, 24*time.Hour, time.Since(s.begun))
	}
}
