package session

// ListKey is where the list of a subject's sessions is in the store.
func ListKey(app, subject string) string { return listKey(&record{App: app, Subject: subject}) }
