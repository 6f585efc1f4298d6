package session

import "context"

// ListKey is where the list of a subject's sessions is in the store.
func ListKey(issuer, app, subject string) string {
	return listKey(&record{Issuer: issuer, App: app, Subject: subject})
}

// ShardKey is where the index has a subject in an app.
func (s *Sessions) ShardKey(subject, app string) string {
	shard, err := s.shardOf(context.Background(), &record{Issuer: s.o.Issuer, Subject: subject, App: app})
	if err != nil {
		panic(err)
	}
	return s.shardKey(shard)
}

// MaxNamed is how many a shard of the index names.
const MaxNamed = maxNamed
