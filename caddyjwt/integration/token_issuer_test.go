package integration_test

import (
	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer"
)
