package integration

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// greeter is a gRPC service that answers calls of the user zoe only.
type greeter struct {
	grpc_health_v1.UnimplementedHealthServer
	calls int
}

func (g *greeter) Check(
	ctx context.Context, _ *grpc_health_v1.HealthCheckRequest,
) (*grpc_health_v1.HealthCheckResponse, error) {
	g.calls++
	md, _ := metadata.FromIncomingContext(ctx)
	if user := md["x-user"]; len(user) != 1 || user[0] != "zoe" || len(md["authorization"]) > 0 {
		return nil, status.Errorf(codes.Internal, "called with %v", md)
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// The gate in front of a gRPC server, with a client and a server of the gRPC project.
func TestRecipeOfGRPC(t *testing.T) {
	as, token := recipeServer(t)
	service := new(greeter)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	s := prepare(t)
	text := s.recipeText(recipes, "gRPC", 1, "https://auth.example.com", as.URL)
	text = strings.ReplaceAll(text, "h2c://"+s.upstream.addr(), "h2c://"+listener.Addr().String())
	s.loadFile(strings.Replace(text, "admin off\n", "admin off\n\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n", 1))

	conn, err := grpc.NewClient("unix:"+s.socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("gate.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const grpcAudience = "https://grpc.example.com"
	for name, test := range map[string]struct {
		metadata []string
		want     codes.Code
	}{
		"a good token": {
			[]string{"authorization", "Bearer " + token(grpcAudience, "sub", "zoe"), "x-user", "root"}, codes.OK,
		},
		"no token":         {[]string{"x-user", "zoe"}, codes.Unauthenticated},
		"an expired token": {[]string{"authorization", "Bearer " + token(grpcAudience, "exp", 1)}, codes.Unauthenticated},
		"another audience": {[]string{"authorization", "Bearer " + token(audience)}, codes.Unauthenticated},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), test.metadata...)
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, new(grpc_health_v1.HealthCheckRequest))
		if status.Code(err) != test.want {
			t.Errorf("%s: %v, %v; want %v", name, answer, err, test.want)
		}
	}
	if service.calls != 1 {
		t.Errorf("%d calls reached the service, want 1", service.calls)
	}
	if a := s.do(s.request(http.MethodPost, "/", nil, "Content-Type", "application/grpc")); a.StatusCode != 401 {
		t.Errorf("HTTP/1.1: status %d", a.StatusCode)
	}
}
