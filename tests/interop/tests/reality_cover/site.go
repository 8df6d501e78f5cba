// A site in Go: net/http over its own TLS, HTTP/1.1 and HTTP/2. Arguments: address, certificate, key, page.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, os.Args[4])
	})
	fmt.Println(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], nil))
}
