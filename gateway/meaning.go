package gateway

import (
	"net/http"
	"strings"

	"nacre/egress"
)

// meanings are what else a request means to servers that look at more than its
// first line: by headers and a parameter that give it another method or path. Each
// must be allowed too.
func meanings(i egress.Intent, r *http.Request) (list []egress.Intent) {
	as := func(method, path string) {
		other := i
		other.Method, other.Path = strings.ToUpper(strings.TrimSpace(method)), path
		list = append(list, other)
	}
	for name, values := range r.Header {
		for _, v := range values {
			switch strings.ToLower(strings.ReplaceAll(name, "_", "-")) {
			case "x-http-method-override", "x-http-method", "x-method-override":
				as(v, i.Path)
			case "x-original-url", "x-rewrite-url", "x-original-uri", "x-forwarded-uri", "x-forwarded-path":
				path, _, _ := strings.Cut(v, "?")
				as(i.Method, path)
			}
		}
	}
	for _, v := range r.URL.Query()["_method"] {
		as(v, i.Path)
	}
	return list
}
