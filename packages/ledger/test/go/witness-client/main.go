// A log and a client of a witness that share no code with the packages under test: trees, proofs, notes and keys by
// golang.org/x/mod, the witness protocol and the cosignature by the text of C2SP tlog-witness and tlog-cosignature.
//
//	witness-client key                 prints the log's verifier key
//	witness-client run URL VKEY        has a growing log cosigned; VKEY is the witness's Ed25519 key (type 0x04)
//	witness-client open FILE LOG VKEY  opens a cosigned checkpoint, and prints what it found in it
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "log.example/go"

// fixed makes the same key in every run.
type fixed byte

func (f fixed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

// cosigner verifies cosignature/v1 signatures (type 0x04) as a note.Verifier.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
	// when the last signature said that it was made
	at uint64
}

func newCosigner(vkey string) *cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	if typed[0] != 4 {
		log.Fatalf("expected a key of type 4, found %d", typed[0])
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), typed...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		log.Fatalf("found key ID %s, expected %x", parts[1], sum[:4])
	}
	return &cosigner{name: parts[0], hash: binary.BigEndian.Uint32(sum[:4]), key: typed[1:]}
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	c.at = binary.BigEndian.Uint64(sig)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", c.at, text)
	return ed25519.Verify(c.key, []byte(message), sig[8:])
}

// hashes is a tree in memory.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h[index]
	}
	return found, nil
}

func main() {
	skey, vkey, err := note.GenerateKey(fixed(7), origin)
	check(err)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "key":
		fmt.Println(vkey)
	case len(os.Args) == 4 && os.Args[1] == "run":
		run(os.Args[2], newCosigner(os.Args[3]), skey, vkey)
	case len(os.Args) == 5 && os.Args[1] == "open":
		open(os.Args[2], os.Args[3], newCosigner(os.Args[4]))
	default:
		log.Fatal("usage: witness-client key | run URL VKEY | open FILE LOG VKEY")
	}
}

func run(url string, witness *cosigner, skey, vkey string) {
	signer, err := note.NewSigner(skey)
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)
	var tree hashes
	old := int64(0)
	grown := int64(0)
	for _, size := range []int64{1, 2, 3, 255, 256, 257, 1000, 1000} {
		for ; grown < size; grown++ {
			added, err := tlog.StoredHashes(grown, []byte(fmt.Sprintf("record %d", grown)), tree)
			check(err)
			tree = append(tree, added...)
		}
		root, err := tlog.TreeHash(size, tree)
		check(err)
		text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		check(err)
		if old > 0 {
			// What a client that knows nothing is told: where the witness stands.
			status, kind, body := post(url, request(0, nil, signed))
			expect(status == 409 && kind == "text/x.tlog.size" && body == fmt.Sprintf("%d\n", old),
				"409 with %d, found %d %s %q", old, status, kind, body)
		}
		var proof tlog.TreeProof
		if old > 0 && old < size {
			proof, err = tlog.ProveTree(size, old, tree)
			check(err)
		}
		if old > 0 && old < size {
			wrong := append(tlog.TreeProof{}, proof...)
			if len(wrong) > 0 {
				wrong[0][0] ^= 1
			} else {
				wrong = append(wrong, tlog.Hash{})
			}
			status, _, _ := post(url, request(old, wrong, signed))
			expect(status == 422, "422 for a wrong proof, found %d", status)
		}
		status, _, lines := post(url, request(old, proof, signed))
		expect(status == 200, "200, found %d: %s", status, lines)
		opened, err := note.Open(append(signed, lines...), note.VerifierList(verifier, witness))
		check(err)
		expect(len(opened.Sigs) == 2, "two signatures, found %d", len(opened.Sigs))
		late := time.Since(time.Unix(int64(witness.at), 0))
		expect(late > -time.Minute && late < time.Minute, "a time of now, found %s ago", late)
		fmt.Printf("cosigned %d, and %d signatures of kinds unknown here\n", size, len(opened.UnverifiedSigs))
		old = size
	}
}

func open(file, vkey string, witness *cosigner) {
	bytes, err := os.ReadFile(file)
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(bytes, note.VerifierList(verifier, witness))
	check(err)
	fmt.Printf("%d known, %d unknown, at %d\n", len(opened.Sigs), len(opened.UnverifiedSigs), witness.at)
}

func request(old int64, proof tlog.TreeProof, signed []byte) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, hash := range proof {
		fmt.Fprintf(&body, "%s\n", hash)
	}
	fmt.Fprintf(&body, "\n%s", signed)
	return body.Bytes()
}

func post(url string, body []byte) (int, string, string) {
	response, err := http.Post(url+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	check(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	check(err)
	return response.StatusCode, response.Header.Get("Content-Type"), string(answer)
}

func expect(holds bool, format string, values ...any) {
	if !holds {
		log.Fatalf("expected "+format, values...)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
