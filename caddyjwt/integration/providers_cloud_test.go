package integration

// From Amazon's pages about the access token, the ID token and the refresh token of a user pool.
func cognito() provider {
	const (
		pool   = "/eu-central-1_AbCdEf123"
		common = `"iss":"$HOST` + pool + `","iat":$NOW,"exp":$EXP,"auth_time":$NOW,"event_id":"e","origin_jti":"o","jti":"j"`
		access = `"token_use":"access","client_id":"4example23456789"`
		user   = `"sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"`
	)
	header := `{"kid":"$KID","alg":"RS256"}`
	return provider{
		section: "Amazon Cognito", block: 1, hosts: []string{"https://cognito-idp.eu-central-1.amazonaws.com"},
		alg: "RS256", kid: "1234example=",
		documents: map[string]string{
			pool + "/.well-known/openid-configuration": plainMetadata("$HOST"+pool, pool+"/.well-known/jwks.json"),
			pool + "/.well-known/jwks.json":            keySet,
		},
		tokens: []shape{
			{name: "a user's access token", header: header, seen: []string{"X-User", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"},
				payload: `{` + user + `,"cognito:groups":["clerks"],"version":2,` + common + `,` + access +
					`,"scope":"openid https://api.example.com/orders.read","username":"alice"}`},
			{name: "a machine's access token", header: header, seen: []string{"X-User", "4example23456789"},
				payload: `{"sub":"4example23456789",` + common + `,` + access + `,"version":2,` +
					`"scope":"https://api.example.com/orders.read"}`},
			{name: "a token of a login by the SDK", header: header, reason: "insufficient_scope",
				payload: `{` + user + `,` + common + `,` + access + `,"scope":"aws.cognito.signin.user.admin"}`},
			{name: "a token for another app client", header: header, reason: "claim_mismatch",
				payload: `{` + user + `,` + common + `,"token_use":"access","client_id":"another",` +
					`"scope":"https://api.example.com/orders.read"}`},
			{name: "an ID token", header: header, reason: "invalid_type",
				payload: `{` + user + `,` + common + `,"aud":"4example23456789","token_use":"id","cognito:groups":["clerks"],` +
					`"cognito:username":"alice","at_hash":"a","email":"alice@example.com"}`},
			{name: "a refresh token", reason: "malformed_token",
				header: "eyJjdHkiOiJKV1QiLCJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiUlNBLU9BRVAifQ.a2V5.aXY.Y2lwaGVy.dGFn"},
			{name: "another user pool", header: header, key: "RS256 other", reason: "unknown_issuer",
				payload: `{` + user + `,"iss":"$HOST/eu-central-1_Other","exp":$EXP,` + access + `}`},
		},
	}
}

// From Google's pages about OpenID Connect and about verifying an ID token on the server.
const (
	googleClient = "1234567890-example.apps.googleusercontent.com"
	googleUser   = `"sub":"10769150350006150715113082367"`
	googleID     = `{"iss":"$HOST","azp":"` + googleClient + `","aud":"` + googleClient + `",` +
		googleUser + `,"at_hash":"HK6E_P6Dh8Y93mRNtsDB1Q","hd":"example.com","email":"alice@example.com",` +
		`"email_verified":true,"iat":$NOW,"exp":$EXP,"nonce":"n"}`
)

func google() provider {
	seen := []string{"X-User", "10769150350006150715113082367"}
	return provider{
		section: "Google", block: 1, hosts: []string{"https://accounts.google.com"},
		alg: "RS256", kid: "f9d97b4cae90bcd76aeb20026f6b770cac221783",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/oauth2/v3/certs"),
			"/oauth2/v3/certs":                  keySet,
		},
		tokens: []shape{
			{name: "an ID token of a colleague", header: plainHeader, payload: googleID, seen: seen},
			{name: "an ID token for another page", header: plainHeader, reason: "invalid_audience",
				payload: `{"iss":"$HOST","azp":"x","aud":"x.apps.googleusercontent.com",` + googleUser +
					`,"hd":"example.com","iat":$NOW,"exp":$EXP}`},
			{name: "an ID token of another company", header: plainHeader, reason: "claim_mismatch",
				payload: `{"iss":"$HOST","azp":"x","aud":"` + googleClient + `",` + googleUser +
					`,"hd":"example.net","iat":$NOW,"exp":$EXP}`},
			{name: "an ID token of a private account", header: plainHeader, reason: "claim_mismatch",
				payload: `{"iss":"$HOST","azp":"x","aud":"` + googleClient + `",` + googleUser +
					`,"email":"alice@gmail.com","iat":$NOW,"exp":$EXP}`},
			{name: "an access token", header: "ya29.a0AfH6SMBx", reason: "malformed_token"},
			{name: "a refresh token", header: "1//0gabcdefgh", reason: "malformed_token"},
		},
	}
}

func googleByUserInfo() provider {
	return provider{
		section: "Google", block: 2, hosts: []string{"https://openidconnect.googleapis.com"}, asks: "/v1/userinfo",
		alg: "RS256", kid: "f9d97b4cae90bcd76aeb20026f6b770cac221783",
		tokens: []shape{
			{name: "an access token of a colleague", header: "ya29.a0AfH6SMBx", answer: `{` + googleUser +
				`,"name":"Alice","email":"alice@example.com","email_verified":true,"hd":"example.com"}`,
				seen: []string{"X-User", "10769150350006150715113082367"}},
			{name: "an access token of a private account", header: "ya29.private", reason: "claim_mismatch",
				answer: `{` + googleUser + `,"name":"Alice"}`},
			{name: "an access token that Google does not know", header: "ya29.invented", reason: "inactive"},
			{name: "a refresh token", header: "1//0gabcdefgh", reason: "inactive"},
			{name: "an ID token", header: plainHeader, payload: googleID, reason: "inactive"},
		},
	}
}
