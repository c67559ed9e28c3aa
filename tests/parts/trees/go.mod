// Only downloaded, never built: their Kustomize trees are what tests bundle.
module airbundle.dev/tests/parts/trees

go 1.21

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/kubeflow/trainer/v2 v2.0.0
)
