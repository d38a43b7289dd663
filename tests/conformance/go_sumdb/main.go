// Checks an exported log with Go's checksum-database library: the signature, every entry's inclusion, and that every smaller tree
// is a prefix. Usage: main EXPORT VKEY [RECEIPT INDEX ENTRY]...
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Println("FAIL:", err)
		os.Exit(1)
	}
}

// checkpoint opens a signed note and gives its tree.
func checkpoint(signed []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// folder reads tiles of height 8 from a tlog-tiles folder, whose paths lack the height that Go's have.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) entries(size int64) [][]byte {
	var found [][]byte
	for n := int64(0); int64(len(found)) < size; n++ {
		tile := tlog.Tile{H: 8, L: 0, N: n, W: 256}
		if rest := size - n*256; rest < 256 {
			tile.W = int(rest)
		}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		check(err)
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			found = append(found, data[2:2+length])
			data = data[2+length:]
		}
	}
	return found
}

// receipt checks a tlog-proof file against the bytes of its entry.
func receipt(path string, index int64, entry []byte, vkey string) {
	text, err := os.ReadFile(path)
	check(err)
	head, signed, _ := strings.Cut(string(text), "\n\n")
	tree := checkpoint([]byte(signed), vkey)
	var proof tlog.RecordProof
	for _, line := range strings.Split(head, "\n")[1:] {
		if strings.HasPrefix(line, "extra ") || strings.HasPrefix(line, "index ") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		check(err)
		var hash tlog.Hash
		copy(hash[:], raw)
		proof = append(proof, hash)
	}
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
}

func main() {
	export, vkey := folder(os.Args[1]), os.Args[2]
	signed, err := os.ReadFile(filepath.Join(string(export), "checkpoint"))
	check(err)
	tree := checkpoint(signed, vkey)
	reader := tlog.TileHashReader(tree, export)
	entries := export.entries(tree.N)
	for i, entry := range entries {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
	}
	for n := int64(1); n <= tree.N; n++ {
		old, err := tlog.TreeHash(n, reader)
		check(err)
		proof, err := tlog.ProveTree(tree.N, n, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, n, old))
	}
	for i := 3; i+1 < len(os.Args); i += 2 {
		index, err := strconv.ParseInt(os.Args[i+1], 10, 64)
		check(err)
		receipt(os.Args[i], index, entries[index], vkey)
	}
	fmt.Printf("OK %d\n", tree.N)
}
