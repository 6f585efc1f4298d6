package session

// ListKey is where the list of a subject's sessions is in the store.
func ListKey(issuer, app, subject string) string {
	return listKey(&record{Issuer: issuer, App: app, Subject: subject})
}

// ShardKey is where the index has a subject in an app.
func (s *Sessions) ShardKey(subject, app string) string {
	return s.shardKey(shardOf(&record{Issuer: s.o.Issuer, Subject: subject, App: app}))
}

// MaxNamed is how many a shard of the index names.
const MaxNamed = maxNamed
