package claims_test

import (
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestKindOf(t *testing.T) {
	access, nothing := claims.Kind{Access: true}, claims.Kind{}
	is := func(pairs ...string) (k claims.Kind) {
		for i := 0; i < len(pairs); i += 2 {
			k.Others = append(k.Others, claims.Other{Name: pairs[i], By: pairs[i+1]})
		}
		return k
	}
	too := func(k claims.Kind) claims.Kind { k.Access = true; return k }
	unknown := func(by string) claims.Kind { return is("unknown kind", by) }
	for name, c := range map[string]struct {
		text   string
		jwt    claims.Kind
		answer claims.Kind
	}{
		"nothing declared": {`{"sub":"alice"}`, nothing, nothing},

		"Keycloak: typ Bearer":        {`{"typ":"Bearer"}`, access, access},
		"Keycloak: typ ID":            {`{"typ":"ID"}`, is("id", "typ"), is("id", "typ")},
		"Keycloak: typ Refresh":       {`{"typ":"Refresh"}`, is("refresh", "typ"), is("refresh", "typ")},
		"Keycloak: typ Offline":       {`{"typ":"Offline"}`, is("offline", "typ"), is("offline", "typ")},
		"Keycloak: typ Logout":        {`{"typ":"Logout"}`, is("logout", "typ"), is("logout", "typ")},
		"Keycloak: typ Serialized-ID": {`{"typ":"Serialized-ID"}`, is("id", "typ"), is("id", "typ")},
		"Keycloak: InitialAccessToken": {`{"typ":"InitialAccessToken"}`,
			is("registration", "typ"), is("registration", "typ")},
		"Keycloak: RegistrationAccessToken": {`{"typ":"RegistrationAccessToken"}`, is("registration", "typ"),
			is("registration", "typ")},
		"Keycloak: a refresh token that says Bearer, too": {`{"token_type":"Bearer","typ":"Refresh"}`,
			too(is("refresh", "typ")), too(is("refresh", "typ"))},
		"Cognito: token_use access":     {`{"token_use":"access"}`, access, access},
		"Cognito: token_use id":         {`{"token_use":"id"}`, is("id", "token_use"), is("id", "token_use")},
		"Hydra: token_use access_token": {`{"token_use":"access_token"}`, access, access},
		"Hydra: token_use refresh_token": {`{"token_use":"refresh_token"}`,
			is("refresh", "token_use"), is("refresh", "token_use")},
		"token_use refresh": {`{"token_use":"refresh"}`,
			is("refresh", "token_use"), is("refresh", "token_use")},
		"Simple JWT: token_type access": {`{"token_type":"access"}`, access, access},
		"Simple JWT: token_type refresh": {`{"token_type":"refresh"}`,
			is("refresh", "token_type"), is("refresh", "token_type")},
		"AM: tokenName access_token": {`{"tokenName":"access_token","token_type":"Bearer"}`, access, access},
		"AM: tokenName id_token": {`{"tokenName":"id_token","tokenType":"JWTToken"}`,
			is("id", "tokenName"), is("id", "tokenName")},
		"AM: tokenName refresh_token": {`{"tokenName":"refresh_token"}`,
			is("refresh", "tokenName"), is("refresh", "tokenName")},
		"Casdoor: tokenType access-token": {`{"tokenType":"access-token"}`, access, access},
		"Casdoor: tokenType refresh-token": {`{"tokenType":"refresh-token"}`,
			is("refresh", "tokenType"), is("refresh", "tokenType")},
		"Curity: purpose access_token": {`{"purpose":"access_token"}`, access, access},
		"Curity: purpose id":           {`{"purpose":"id"}`, is("id", "purpose"), is("id", "purpose")},
		"Flask: type access":           {`{"type":"access","fresh":false}`, nothing, nothing},
		"Flask: type refresh":          {`{"type":"refresh"}`, is("refresh", "type"), is("refresh", "type")},

		"token_type Bearer":       {`{"token_type":"bearer"}`, access, access},
		"token_type access_token": {`{"token_type":"access_token"}`, access, access},
		"token_type N_A":          {`{"token_type":"N_A"}`, access, access},
		"token_type by its URN":   {`{"token_type":"urn:ietf:params:oauth:token-type:access_token"}`, access, access},
		"token_type refresh by URN": {`{"token_type":"urn:ietf:params:oauth:token-type:refresh_token"}`,
			is("refresh", "token_type"), is("refresh", "token_type")},
		"token_type ID by URN": {`{"token_type":"urn:ietf:params:oauth:token-type:id_token"}`,
			is("id", "token_type"), is("id", "token_type")},
		"token_type DPoP": {`{"token_type":"DPoP"}`,
			claims.Kind{Access: true, Bound: true}, claims.Kind{Access: true, Bound: true}},
		"typ DPoP": {`{"typ":"DPoP"}`,
			claims.Kind{Access: true, Bound: true}, claims.Kind{Access: true, Bound: true}},
		"other spellings": {`{"typ":"ID_TOKEN"}`, is("id", "typ"), is("id", "typ")},
		"camel case":      {`{"typ":"refreshToken"}`, is("refresh", "typ"), is("refresh", "typ")},
		"escapes":         {`{"t\u0079p":"\u0049D"}`, is("id", "typ"), is("id", "typ")},
		"a media type": {`{"typ":"application/Logout+JWT"}`,
			is("logout+jwt", "typ"), is("logout+jwt", "typ")},
		"the media type of access":     {`{"typ":"application/at+jwt"}`, access, access},
		"the type that all JWTs have":  {`{"typ":"JWT"}`, nothing, nothing},
		"a word that only begins so":   {`{"typ":"identity"}`, nothing, nothing},
		"a long word":                  {`{"typ":"refresh_token_refresh_token_refresh_token"}`, nothing, nothing},
		"an empty word":                {`{"typ":""}`, nothing, nothing},
		"letters that only fold to it": {`{"typ":"` + "\u0130D" + `"}`, nothing, nothing},
		"two at once": {`{"typ":"ID","token_use":"refresh"}`,
			is("id", "typ", "refresh", "token_use"), is("id", "typ", "refresh", "token_use")},
		"a logout token of Keycloak": {`{"events":{},"typ":"Logout"}`,
			is("secevent+jwt", "events", "logout", "typ"), is("secevent+jwt", "events", "logout", "typ")},
		"access does not outdo others": {`{"token_use":"access","typ":"ID"}`, too(is("id", "typ")), too(is("id", "typ"))},

		// In an answer these two members have one meaning only. In a token anybody may have used the names.
		"token_type unknown":  {`{"token_type":"JWT"}`, nothing, unknown("token_type")},
		"token_type empty":    {`{"token_type":""}`, nothing, unknown("token_type")},
		"token_type a list":   {`{"token_type":["Bearer"]}`, nothing, unknown("token_type")},
		"token_type a number": {`{"token_type":1}`, nothing, unknown("token_type")},
		"token_use unknown":   {`{"token_use":"service"}`, nothing, unknown("token_use")},
		"token_use a list":    {`{"token_use":["access"]}`, nothing, unknown("token_use")},
		"typ unknown":         {`{"typ":"user"}`, nothing, nothing},
		"typ a list":          {`{"typ":["ID"]}`, nothing, nothing},
		"null says nothing": {`{"token_type":null,"token_use":null,"typ":null,"events":null,"status_list":null}`,
			nothing, nothing},
		"a type of anything":           {`{"type":"id"}`, nothing, nothing},
		"Cloudflare: type app":         {`{"type":"app"}`, nothing, nothing},
		"other names":                  {`{"TYP":"ID","Token_Use":"id","kind":"refresh"}`, nothing, nothing},
		"statements deeper inside":     {`{"act":{"token_use":"id","typ":"ID"}}`, nothing, nothing},
		"words among others in a name": {`{"typ ":"ID"}`, nothing, nothing},

		"a security event": {`{"events":{"https://schemas.openid.net/secevent/risc/event-type/account-disabled":{}}}`,
			is("secevent+jwt", "events"), is("secevent+jwt", "events")},
		"events without any": {`{"events":{}}`, is("secevent+jwt", "events"), is("secevent+jwt", "events")},
		"events as a list":   {`{"events":["login"]}`, nothing, nothing},
		"events as a text":   {`{"events":"login"}`, nothing, nothing},
		"events as a number": {`{"events":3}`, nothing, nothing},
		"a signed answer": {`{"token_introspection":{"active":true}}`,
			is("token-introspection+jwt", "token_introspection"), is("token-introspection+jwt", "token_introspection")},
		"an answer of another type": {`{"token_introspection":true}`,
			is("token-introspection+jwt", "token_introspection"), is("token-introspection+jwt", "token_introspection")},
		"a status list": {`{"status_list":{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}`,
			is("statuslist+jwt", "status_list"), is("statuslist+jwt", "status_list")},
		"a token with a status": {`{"status":{"status_list":{"idx":0,"uri":"https://as.example/1"}}}`,
			nothing, nothing},
		"a DPoP proof": {`{"htm":"GET","htu":"https://api.example"}`,
			is("dpop+jwt", "htm"), is("dpop+jwt", "htm")},
		"htm alone": {`{"htm":"GET"}`, nothing, nothing},
		"htu alone": {`{"htu":"https://api.example"}`, nothing, nothing},
		"a request object": {`{"client_id":"c","response_type":"code","redirect_uri":"https://c.example"}`,
			is("oauth-authz-req+jwt", "response_type"), is("oauth-authz-req+jwt", "response_type")},
		"response_type alone":           {`{"response_type":"code"}`, nothing, nothing},
		"client_id alone":               {`{"client_id":"c"}`, nothing, nothing},
		"a presentation":                {`{"vp":{"verifiableCredential":[]}}`, is("vp+jwt", "vp"), is("vp+jwt", "vp")},
		"vp for something else":         {`{"vp":true}`, nothing, nothing},
		"a credential inside a token":   {`{"vc":{"type":["VerifiableCredential"]}}`, nothing, nothing},
		"an ID token with c_hash":       {`{"c_hash":"x"}`, is("id", "c_hash"), is("id", "c_hash")},
		"an ID token with s_hash":       {`{"s_hash":"x"}`, is("id", "s_hash"), is("id", "s_hash")},
		"a self-issued ID token":        {`{"sub_jwk":{"kty":"EC"}}`, is("id", "sub_jwk"), is("id", "sub_jwk")},
		"dex: at_hash in access tokens": {`{"at_hash":"x","nonce":"n","auth_time":1}`, nothing, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := claims.Decode([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := claims.KindOf(set); !reflect.DeepEqual(got, c.jwt) {
				t.Errorf("a JWT says %+v, want %+v", got, c.jwt)
			}
			answer, err := claims.DecodeAnswer([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := claims.KindOfAnswer(answer); !reflect.DeepEqual(got, c.answer) {
				t.Errorf("an answer says %+v, want %+v", got, c.answer)
			}
		})
	}
}

func TestOtherKind(t *testing.T) {
	for word, want := range map[string]string{
		"id": "id", "ID": "id", "id_token": "id", "refresh": "refresh", "Refresh-Token": "refresh", "offline": "offline",
		"logout": "logout", "refresh+jwt": "refresh+jwt", "": "", "jwt": "", "at+jwt": "", "bearer": "", "access": "",
		"n_a": "", "dpop": "", "user": "", "+jwt": "",
	} {
		if got := claims.OtherKind(word); got != want {
			t.Errorf("%q names %q, want %q", word, got, want)
		}
	}
}

func TestKindOfDoesNotAllocate(t *testing.T) {
	set, err := claims.Decode([]byte(`{"iss":"https://as.example",` +
		`"typ":"Bearer","token_use":"access","token_type":"Bearer",` +
		`"client_id":"app","scope":"read","type":"user","events":["login"],"purpose":"access_token"}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = claims.KindOf(set) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
