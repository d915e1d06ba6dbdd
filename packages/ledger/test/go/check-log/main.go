// Command check-log verifies a log that was published in the layout of C2SP tlog-tiles, with nothing of ours: its tree and its
// signatures are checked by golang.org/x/mod/sumdb/{tlog,note} alone. It is the second opinion on this room's own verifier.
//
// It prints one JSON object. Exit code 0 without problems, 1 with some, 2 when it could not be run.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

// A head is what a checkpoint commits to.
type head struct {
	origin string
	tree   tlog.Tree
}

type problem struct {
	Place  string `json:"place"`
	Detail string `json:"detail"`
}

type report struct {
	Origin        string    `json:"origin"`
	Size          int64     `json:"size"`
	Entries       int64     `json:"entries"`
	Inclusions    int       `json:"inclusions"`
	Consistencies int       `json:"consistencies"`
	Proofs        int       `json:"proofs"`
	Problems      []problem `json:"problems"`
}

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	folder := flag.String("log", "", "folder of the published log, or its https URL")
	ca := flag.String("ca", "", "of a URL: file with the server's authorities, PEM")
	cert := flag.String("cert", "", "of a URL: file with the client's certificate and key, PEM")
	key := flag.String("vkey", "", "file with the verifier key")
	step := flag.Int64("step", 997, "one inclusion proof for so many entries")
	var olds, proofs list
	flag.Var(&olds, "old", "an older checkpoint; may be repeated")
	flag.Var(&proofs, "proof", "PROOF:LEAF, a .tlog-proof file and one with the entry's bytes; may be repeated")
	flag.Parse()

	c := &checker{folder: *folder}
	if strings.HasPrefix(*folder, "https://") {
		client, err := clientOf(*ca, *cert)
		if err != nil {
			fatal(err)
		}
		c.client = client
	}
	c.report.Problems = []problem{}
	vkey, err := os.ReadFile(*key)
	if err != nil {
		fatal(err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		fatal(err)
	}
	c.verifiers = note.VerifierList(verifier)
	c.run(olds, proofs, *step)

	if err := json.NewEncoder(os.Stdout).Encode(c.report); err != nil {
		fatal(err)
	}
	if len(c.report.Problems) > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "check-log:", err)
	os.Exit(2)
}

// clientOf is a plain client of Go's own, which shows a certificate.
func clientOf(ca, cert string) (*http.Client, error) {
	authorities, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorities)
	pair, err := tls.LoadX509KeyPair(cert, cert)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, nil
}

// get reads a file of the published log.
func (c *checker) get(path string) ([]byte, error) {
	if c.client == nil {
		return os.ReadFile(filepath.Join(c.folder, path))
	}
	response, err := c.client.Get(c.folder + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(response.Body)
}

type checker struct {
	folder    string
	client    *http.Client
	verifiers note.Verifiers
	tree      tlog.Tree
	hashes    tlog.HashReader
	report    report
}

func (c *checker) problem(place, format string, args ...interface{}) {
	c.report.Problems = append(c.report.Problems, problem{place, fmt.Sprintf(format, args...)})
}

func (c *checker) run(olds, proofs []string, step int64) {
	message, err := c.get("checkpoint")
	if err != nil {
		c.problem("checkpoint", "%v", err)
		return
	}
	h, err := c.parse(message)
	if err != nil {
		c.problem("checkpoint", "%v", err)
		return
	}
	c.report.Origin, c.report.Size = h.origin, h.tree.N
	c.tree = h.tree
	c.hashes = tlog.TileHashReader(c.tree, c)
	for first := int64(0); first < c.tree.N; first += width {
		c.bundle(first)
	}
	for n := int64(0); n < c.tree.N; n += step {
		c.inclusion(n)
	}
	for _, old := range olds {
		c.consistency(old)
	}
	for _, pair := range proofs {
		c.proof(pair)
	}
}

func (c *checker) open(file string) (head, error) {
	message, err := os.ReadFile(file)
	if err != nil {
		return head{}, err
	}
	return c.parse(message)
}

func (c *checker) parse(message []byte) (head, error) {
	opened, err := note.Open(message, c.verifiers)
	if err != nil {
		return head{}, err
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) < 4 {
		return head{}, fmt.Errorf("a checkpoint of %d lines", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return head{lines[0], tlog.Tree{N: size, Hash: root}}, err
}

// bundle holds the entries from first on, of one bundle, against the tree.
func (c *checker) bundle(first int64) {
	count := c.tree.N - first
	if count > width {
		count = width
	}
	tile := tlog.Tile{H: 8, L: -1, N: first / width, W: int(count)}
	place := pathOf(tile)
	data, err := c.get(place)
	if err != nil {
		c.problem(place, "%v", err)
		return
	}
	indexes := make([]int64, count)
	for at := range indexes {
		indexes[at] = tlog.StoredHashIndex(0, first+int64(at))
	}
	hashes, err := c.hashes.ReadHashes(indexes)
	if err != nil {
		c.problem(c.wrongTile(first/width), "%v, for entries %d to %d", err, first, first+count-1)
		return
	}
	for at, hash := range hashes {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			c.problem(place, "cut before entry %d", first+int64(at))
			return
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if tlog.RecordHash(data[2:end]) != hash {
			c.problem(place, "entry %d is not the tree's", first+int64(at))
			return
		}
		c.report.Entries++
		data = data[end:]
	}
	if len(data) > 0 {
		c.problem(place, "%d bytes behind the last entry", len(data))
	}
}

// wrongTile finds the lowest tile above a bundle that the one above it does not have; the library does not say which.
func (c *checker) wrongTile(n int64) string {
	for level, size := 0, c.tree.N; ; level, n, size = level+1, n/width, size/width {
		w := size - n*width
		if w < width {
			return pathOf(tlog.Tile{H: 8, L: level, N: n, W: int(w)})
		}
		tile := tlog.Tile{H: 8, L: level, N: n, W: width}
		data, err := c.get(pathOf(tile))
		if err != nil || len(data) != width*tlog.HashSize {
			return pathOf(tile)
		}
		above := tlog.Tile{H: 8, L: level + 1, N: n / width, W: width}
		if rest := size/width - above.N*width; rest < width {
			above.W = int(rest)
		}
		parent, err := c.get(pathOf(above))
		at := int(n%width) * tlog.HashSize
		if err != nil || len(parent) < at+tlog.HashSize {
			return pathOf(above)
		}
		if root := rootOf(data); string(root[:]) != string(parent[at:at+tlog.HashSize]) {
			return pathOf(tile) + " or " + pathOf(above)
		}
	}
}

func rootOf(data []byte) tlog.Hash {
	var row []tlog.Hash
	for ; len(data) > 0; data = data[tlog.HashSize:] {
		var h tlog.Hash
		copy(h[:], data)
		row = append(row, h)
	}
	for ; len(row) > 1; row = row[:len(row)/2] {
		for at := 0; at < len(row)/2; at++ {
			row[at] = tlog.NodeHash(row[2*at], row[2*at+1])
		}
	}
	return row[0]
}

func (c *checker) inclusion(n int64) {
	place := fmt.Sprintf("entry %d", n)
	proof, err := tlog.ProveRecord(c.tree.N, n, c.hashes)
	if err != nil {
		c.problem(place, "inclusion: %v", err)
		return
	}
	hashes, err := c.hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
	if err == nil {
		err = tlog.CheckRecord(proof, c.tree.N, c.tree.Hash, n, hashes[0])
	}
	if err != nil {
		c.problem(place, "inclusion: %v", err)
		return
	}
	c.report.Inclusions++
}

func (c *checker) consistency(file string) {
	place := filepath.Base(file)
	old, err := c.open(file)
	if err != nil {
		c.problem(place, "%v", err)
		return
	}
	if old.tree.N > c.tree.N {
		c.problem("checkpoint", "rolled back: %d entries after %d in %s", c.tree.N, old.tree.N, place)
		return
	}
	proof, err := tlog.ProveTree(c.tree.N, old.tree.N, c.hashes)
	if err == nil {
		err = tlog.CheckTree(proof, c.tree.N, c.tree.Hash, old.tree.N, old.tree.Hash)
	}
	if err != nil {
		c.problem("checkpoint", "another history than %s of %d entries: %v", place, old.tree.N, err)
		return
	}
	c.report.Consistencies++
}

// proof checks a c2sp.org/tlog-proof@v1 file with what it carries itself, and the entry.
func (c *checker) proof(pair string) {
	files := strings.SplitN(pair, ":", 2)
	place := filepath.Base(files[0])
	if err := c.checkProof(files); err != nil {
		c.problem(place, "%v", err)
		return
	}
	c.report.Proofs++
}

func (c *checker) checkProof(files []string) error {
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(files[1])
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(text), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("no tlog-proof@v1")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		bytes, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(bytes) != tlog.HashSize {
			return fmt.Errorf("no hash in line %q", line)
		}
		var hash tlog.Hash
		copy(hash[:], bytes)
		proof = append(proof, hash)
	}
	h, err := c.parse([]byte(parts[1]))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, h.tree.N, h.tree.Hash, index, tlog.RecordHash(leaf))
}

// The library's paths begin with the height of a tile, and call entries data; the standard's do not.
func pathOf(tile tlog.Tile) string {
	path := tile.Path()
	if tile.L == -1 {
		return "tile/entries/" + strings.TrimPrefix(path, "tile/8/data/")
	}
	return "tile/" + strings.TrimPrefix(path, "tile/8/")
}

// Height, ReadTiles and SaveTiles make a checker a tlog.TileReader.
func (c *checker) Height() int { return 8 }

func (c *checker) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := c.get(pathOf(tile))
		if os.IsNotExist(err) && tile.W < width {
			// C2SP tlog-tiles, "Partial Tiles": the full one may stand in.
			full := tile
			full.W = width
			data, err = c.get(pathOf(full))
			if err == nil && len(data) >= tile.W*tlog.HashSize {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (c *checker) SaveTiles([]tlog.Tile, [][]byte) {}
