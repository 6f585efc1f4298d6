package session

// ListKey is where the list of a subject's sessions is in the store.
func ListKey(issuer, app, subject string) string {
	return listKey(&record{Issuer: issuer, App: app, Subject: subject})
}
