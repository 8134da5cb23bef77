// Command sbom lists what programs are made of, as a CycloneDX bill of
// materials: the modules that the linker wrote into each, with their checksums.
// It is a module of its own, so that what it needs is no part of Nacre.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	version := flag.String("version", "dev", "the version of the whole")
	flag.Parse()
	if err := write(os.Stdout, *version, os.Getenv("SOURCE_DATE_EPOCH"), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// bill is a bill of materials in the making.
type bill struct {
	components []cdx.Component
	depends    []cdx.Dependency
	known      map[string]bool
}

func write(w io.Writer, version, epoch string, programs []string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	whole := cdx.Component{Type: cdx.ComponentTypeApplication, BOMRef: "nacre", Name: "nacre", Version: version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}}
	b := bill{known: map[string]bool{}}
	var refs []string
	for _, path := range slices.Sorted(slices.Values(programs)) {
		ref, err := b.program(path, version)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return fmt.Errorf("no program is given")
	}
	b.depends = append([]cdx.Dependency{{Ref: whole.BOMRef, Dependencies: &refs}}, b.depends...)
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: time.Unix(seconds, 0).UTC().Format(time.RFC3339), Component: &whole}
	bom.Components, bom.Dependencies = &b.components, &b.depends
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// program adds a program and what is linked into it.
func (b *bill) program(path, version string) (ref string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	name := filepath.Base(path)
	ref = "program:" + name
	b.components = append(b.components, cdx.Component{Type: cdx.ComponentTypeApplication, BOMRef: ref, Name: name, Version: version,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}})
	refs := []string{b.module("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, m := range info.Deps {
		refs = append(refs, b.module(linked(m).Path, linked(m).Version, linked(m).Sum))
	}
	slices.Sort(refs)
	b.depends = append(b.depends, cdx.Dependency{Ref: ref, Dependencies: &refs})
	return ref, nil
}

func linked(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// module adds a module once. The checksum is that of go.sum.
func (b *bill) module(path, version, sum string) (ref string) {
	ref = "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	if b.known[ref] {
		return ref
	}
	b.known[ref] = true
	c := cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: ref, Name: path, Version: version, PackageURL: ref}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	b.components = append(b.components, c)
	return ref
}
