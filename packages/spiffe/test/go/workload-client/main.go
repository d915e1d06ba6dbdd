// A workload as others have it: go-spiffe, grpc-go's reflection and Envoy's own message types before our Workload API.
// Each command prints JSON, one value a line.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/structpb"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("found %d arguments, expected a command and an endpoint", len(os.Args)-1))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	command, endpoint, rest := os.Args[1], os.Args[2], os.Args[3:]
	commands := map[string]func(context.Context, string, []string) error{
		"watch":   watch,
		"jwt":     jwt,
		"call":    call,
		"serve":   serve,
		"reflect": reflect,
		"sds":     sds,
		"bundle":  bundle,
	}
	run, ok := commands[command]
	if !ok {
		fail(fmt.Errorf("found command %q, expected another", command))
	}
	if err := run(ctx, endpoint, rest); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

type update struct {
	Svids   []svid         `json:"svids"`
	Bundles map[string]int `json:"bundles"`
	Error   string         `json:"error,omitempty"`
}

type svid struct {
	ID       string `json:"id"`
	Hint     string `json:"hint"`
	Serial   string `json:"serial"`
	Verified string `json:"verified"`
}

type watcher struct {
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

func (w *watcher) OnX509ContextUpdate(x *workloadapi.X509Context) {
	out := update{Bundles: map[string]int{}}
	for _, s := range x.SVIDs {
		// By go-spiffe's own verifier, with the bundles that came along.
		id, _, err := x509svid.Verify(s.Certificates, x.Bundles)
		verified := id.String()
		if err != nil {
			verified = err.Error()
		}
		out.Svids = append(out.Svids, svid{s.ID.String(), s.Hint, s.Certificates[0].SerialNumber.Text(16), verified})
	}
	for _, b := range x.Bundles.Bundles() {
		out.Bundles[b.TrustDomain().Name()] = len(b.X509Authorities())
	}
	w.tell(out)
}

func (w *watcher) OnX509ContextWatchError(err error) { w.tell(update{Error: err.Error()}) }

func (w *watcher) tell(out update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 {
		return
	}
	say(out)
	if w.left--; w.left == 0 {
		w.cancel()
	}
}

// watch COUNT: so many updates or errors, then the end.
func watch(ctx context.Context, endpoint string, rest []string) error {
	count, err := strconv.Atoi(rest[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watcher{left: count, cancel: cancel}
	err = workloadapi.WatchX509Context(ctx, w, workloadapi.WithAddr(endpoint))
	if w.left == 0 {
		return nil
	}
	return err
}

// jwt AUDIENCE: a token by the API, verified here with its bundles and there by the API.
func jwt(ctx context.Context, endpoint string, rest []string) error {
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(endpoint))
	if err != nil {
		return err
	}
	defer client.Close()
	svids, err := client.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: rest[0]})
	if err != nil {
		return err
	}
	bundles, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	for _, s := range svids {
		here, err := jwtsvid.ParseAndValidate(s.Marshal(), bundles, []string{rest[0]})
		if err != nil {
			return err
		}
		there, err := client.ValidateJWTSVID(ctx, s.Marshal(), rest[0])
		if err != nil {
			return err
		}
		_, wrong := client.ValidateJWTSVID(ctx, s.Marshal(), "somebody else")
		say(map[string]any{"id": here.ID.String(), "there": there.ID.String(), "hint": s.Hint, "audience": here.Audience, "token": s.Marshal(), "wrong": fmt.Sprint(wrong)})
	}
	return nil
}

// call URL ID: one request by mutual TLS, as whoever the API says we are, to whom we expect.
func call(ctx context.Context, endpoint string, rest []string) error {
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(endpoint)))
	if err != nil {
		return err
	}
	defer source.Close()
	id, err := spiffeid.FromString(rest[1])
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(id))}}
	response, err := client.Get(rest[0])
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	say(string(body))
	return nil
}

// serve: by mutual TLS, tells each caller who it is; ends with its input.
func serve(ctx context.Context, endpoint string, rest []string) error {
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(endpoint)))
	if err != nil {
		return err
	}
	defer source.Close()
	config := tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeAny())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	say(listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := x509svid.IDFromCert(r.TLS.PeerCertificates[0])
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		fmt.Fprint(w, id.String())
	}))
	bufio.NewReader(os.Stdin).ReadString('\n')
	return nil
}

func dial(endpoint string) (*grpc.ClientConn, error) {
	return grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// reflect: services, and the methods and messages of the first, built into a registry that checks them.
func reflect(ctx context.Context, endpoint string, rest []string) error {
	conn, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	ask := func(request *reflection.ServerReflectionRequest) (*reflection.ServerReflectionResponse, error) {
		if err := stream.Send(request); err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	list, err := ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{ListServices: "*"}})
	if err != nil {
		return err
	}
	name := list.GetListServicesResponse().Service[0].Name
	files := &descriptorpb.FileDescriptorSet{}
	for _, symbol := range []string{"google.protobuf.Struct", name} {
		answer, err := ask(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: symbol}})
		if err != nil {
			return err
		}
		for _, bytes := range answer.GetFileDescriptorResponse().FileDescriptorProto {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(bytes, file); err != nil {
				return err
			}
			files.File = append(files.File, file)
		}
	}
	registry, err := protodesc.NewFiles(files)
	if err != nil {
		return err
	}
	out := map[string]string{}
	describe(registry, name, out)
	say(out)
	return nil
}

func describe(registry *protoregistry.Files, name string, out map[string]string) {
	found, err := registry.FindDescriptorByName(protoreflectName(name))
	if err != nil {
		fail(err)
	}
	service := protodesc.ToServiceDescriptorProto(asService(found))
	for _, method := range service.Method {
		out[method.GetName()] = fmt.Sprintf("%s %s %v", method.GetInputType(), method.GetOutputType(), method.GetServerStreaming())
	}
}

// sds NAME...: each answer's secrets, acknowledged; ends with the second.
func sds(ctx context.Context, endpoint string, rest []string) error {
	conn, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := secret.NewSecretDiscoveryServiceClient(conn).StreamSecrets(ctx)
	if err != nil {
		return err
	}
	request := &discovery.DiscoveryRequest{
		Node:          &core.Node{Id: "envoy", Cluster: "test", UserAgentName: "envoy"},
		ResourceNames: rest,
		TypeUrl:       "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	}
	for range 2 {
		if err := stream.Send(request); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		out := map[string]string{}
		for _, resource := range response.Resources {
			var s tlsv3.Secret
			if err := resource.UnmarshalTo(&s); err != nil {
				return err
			}
			if err := s.ValidateAll(); err != nil {
				return err
			}
			if certificate := s.GetTlsCertificate(); certificate != nil {
				pair, err := tls.X509KeyPair(certificate.CertificateChain.GetInlineBytes(), certificate.PrivateKey.GetInlineBytes())
				if err != nil {
					return err
				}
				out[s.Name] = pair.Leaf.URIs[0].String()
				continue
			}
			var config tlsv3.SPIFFECertValidatorConfig
			if err := s.GetValidationContext().GetCustomValidatorConfig().TypedConfig.UnmarshalTo(&config); err != nil {
				return err
			}
			var domains []string
			for _, domain := range config.TrustDomains {
				domains = append(domains, domain.Name)
			}
			sort.Strings(domains)
			out[s.Name] = fmt.Sprint(domains)
		}
		say(out)
		request.VersionInfo, request.ResponseNonce = response.VersionInfo, response.Nonce
	}
	return nil
}

// bundle URL TRUST-DOMAIN ID BUNDLE-FILE: a federation endpoint by https_spiffe.
func bundle(ctx context.Context, url string, rest []string) error {
	td, err := spiffeid.TrustDomainFromString(rest[0])
	if err != nil {
		return err
	}
	id, err := spiffeid.FromString(rest[1])
	if err != nil {
		return err
	}
	known, err := spiffebundle.Load(id.TrustDomain(), rest[2])
	if err != nil {
		return err
	}
	got, err := federation.FetchBundle(ctx, td, url, federation.WithSPIFFEAuth(known, id))
	if err != nil {
		return err
	}
	sequence, _ := got.SequenceNumber()
	hint, _ := got.RefreshHint()
	say(map[string]any{"x509": len(got.X509Authorities()), "jwt": len(got.JWTAuthorities()), "sequence": sequence, "hint": hint.Seconds()})
	return nil
}

func protoreflectName(name string) protoreflect.FullName { return protoreflect.FullName(name) }

func asService(d protoreflect.Descriptor) protoreflect.ServiceDescriptor {
	service, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		fail(fmt.Errorf("found %s, expected a service", d.FullName()))
	}
	return service
}
