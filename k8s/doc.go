// Package k8s has no code, only manifests and the tests that hold them to what
// the services read, serve and need. No cluster takes part: each overlay is built
// with kustomize's library, decoded strictly into the types of Kubernetes, and
// judged by rules, each of which is shown to find what it looks for.
package k8s
