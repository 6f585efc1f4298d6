package packaging_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const kubernetes = "../examples/kubernetes"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find is the one group of a pattern in a file.
func find(t *testing.T, path, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(read(t, path), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d times %s, want it once", path, len(found), pattern)
	}
	return found[0][1]
}

// The image is built with a Go of the line that go.mod asks for, and with one exact version.
func TestImageIsBuiltWithTheGoOfGoMod(t *testing.T) {
	wanted := find(t, "../go.mod", `^go (\d+\.\d+)\.\d+$`)
	if used := find(t, "../Dockerfile", `^ARG GO_IMAGE=golang:(\d+\.\d+)\.\d+$`); used != wanted {
		t.Errorf("Dockerfile has Go %s, go.mod %s", used, wanted)
	}
}

// A tag that moves would make another deployment of the same file.
func TestImagesHaveExactVersions(t *testing.T) {
	exact := regexp.MustCompile(`:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$`)
	for _, path := range []string{"../examples/compose/compose.yaml", kubernetes + "/deployment.yaml"} {
		images := regexp.MustCompile(`(?m)^\s+image: (.+)$`).FindAllStringSubmatch(read(t, path), -1)
		if len(images) == 0 {
			t.Errorf("%s has no images", path)
		}
		for _, image := range images {
			if image[1] != "caddy-bearer-auth" && !exact.MatchString(image[1]) { // which is built beside it
				t.Errorf("%s has the image %s: name one version", path, image[1])
			}
		}
	}
}

// Caddy's flag --environ writes all variables to the log.
func TestNobodyPrintsTheEnvironment(t *testing.T) {
	for path, line := range map[string]string{
		"systemd/caddy.service": `^ExecStart=(.*)$`, "../Dockerfile": `^CMD (.*)$`,
	} {
		if command := find(t, path, line); strings.Contains(command, "environ") {
			t.Errorf("%s starts %s", path, command)
		}
	}
}

// object is what these tests ask of a Kubernetes object.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Template struct {
			Spec struct {
				Grace      int  `yaml:"terminationGracePeriodSeconds"`
				Automount  bool `yaml:"automountServiceAccountToken"`
				Security   pod  `yaml:"securityContext"`
				Containers []struct {
					Ports []struct {
						Port int `yaml:"containerPort"`
					}
					Security contained `yaml:"securityContext"`
				}
			}
		}
		PodSelector selector `yaml:"podSelector"`
		Ingress     []struct {
			From []struct {
				PodSelector selector `yaml:"podSelector"`
			}
		}
	}
}

type (
	pod struct {
		NonRoot bool `yaml:"runAsNonRoot"`
		User    int  `yaml:"runAsUser"`
	}
	contained struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop []string }
	}
	selector struct {
		Labels map[string]string `yaml:"matchLabels"`
	}
)

// objects are those of the files that the kustomization names, and it names all.
func objects(t *testing.T) map[string]object {
	t.Helper()
	var list struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(read(t, kubernetes+"/kustomization.yaml")), &list); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(kubernetes + "/*.yaml")
	if err != nil || len(files) != len(list.Resources)+1 {
		t.Errorf("the kustomization names %q of %q: %v", list.Resources, files, err)
	}
	found := map[string]object{}
	for _, name := range list.Resources {
		decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, filepath.Join(kubernetes, name)))))
		for {
			var o object
			if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if o.APIVersion == "" || o.Kind == "" || o.Metadata.Name == "" {
				t.Errorf("%s has an object without a kind or a name", name)
			}
			found[o.Kind+"/"+o.Metadata.Name] = o
		}
	}
	return found
}

func TestPodsOfTheExampleHaveNoPrivileges(t *testing.T) {
	spec := objects(t)["Deployment/gate"].Spec.Template.Spec
	if len(spec.Containers) != 1 || spec.Automount || !spec.Security.NonRoot || spec.Security.User != 65532 {
		t.Fatalf("the pod is %+v", spec)
	}
	container := spec.Containers[0]
	if s := container.Security; s.Escalation == nil || *s.Escalation || !s.ReadOnly ||
		!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container has %+v", s)
	}
	for _, port := range container.Ports {
		if port.Port != 8080 && port.Port != 8081 {
			t.Errorf("port %d is no port of the Caddyfile", port.Port)
		}
	}
}

// Kubernetes kills a pod only when Caddy has had the time that it gives itself.
func TestPodsOfTheExampleMayEndInOrder(t *testing.T) {
	var needed time.Duration
	for _, word := range []string{"shutdown_delay", "grace_period"} {
		period, err := time.ParseDuration(find(t, kubernetes+"/Caddyfile", `^\t`+word+` (\S+)$`))
		if err != nil {
			t.Fatal(err)
		}
		needed += period
	}
	grace := objects(t)["Deployment/gate"].Spec.Template.Spec.Grace
	if given := time.Duration(grace) * time.Second; given <= needed {
		t.Errorf("Kubernetes gives %s, Caddy needs %s", given, needed)
	}
}

func TestOnlyTheGateOfTheExampleReachesTheBackend(t *testing.T) {
	spec := objects(t)["NetworkPolicy/backend"].Spec
	if spec.PodSelector.Labels["app"] != "backend" || len(spec.Ingress) != 1 || len(spec.Ingress[0].From) != 1 ||
		spec.Ingress[0].From[0].PodSelector.Labels["app"] != "gate" {
		t.Errorf("the policy lets others in: %+v", spec)
	}
}
