{{- /*
What each controller of the operator may do, and no more. It reads the three resources, writes only their
status, and makes what runs for them. It deletes no object of a user: ModelVersions that runs made are its own, and the
admission policy of the chart lets it delete no others. It touches no Secret and enters no pod. `/finalizers` lets it own
children on clusters that enforce permissions on owner references.
*/}}

{{- define "modelwright.rules.trainingjobs" }}
- apiGroups: [modelwright.dev]
  resources: [trainingjobs]
  verbs: [get, list, watch]
- apiGroups: [modelwright.dev]
  resources: [trainingjobs/status]
  verbs: [patch]
- apiGroups: [modelwright.dev]
  resources: [trainingjobs/finalizers]
  verbs: [update]
- apiGroups: [modelwright.dev]
  resources: [modelversions]
  verbs: [get, list, watch, create, delete]
- apiGroups: [modelwright.dev]
  resources: [inferenceservices]
  verbs: [get, list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create]
{{- end }}

{{- define "modelwright.rules.modelversions" }}
- apiGroups: [modelwright.dev]
  resources: [modelversions]
  verbs: [get, list, watch]
- apiGroups: [modelwright.dev]
  resources: [modelversions/status]
  verbs: [patch]
- apiGroups: [modelwright.dev]
  resources: [modelversions/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- end }}

{{- define "modelwright.rules.inferenceservices" }}
- apiGroups: [modelwright.dev]
  resources: [inferenceservices]
  verbs: [get, list, watch]
- apiGroups: [modelwright.dev]
  resources: [inferenceservices/status]
  verbs: [patch]
- apiGroups: [modelwright.dev]
  resources: [inferenceservices/finalizers]
  verbs: [update]
- apiGroups: [modelwright.dev]
  resources: [modelversions]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# It annotates pods when their traffic rule changes. By way of the status no spec can be changed, so no image either.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.metrics.serviceRules.enabled }}
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- end }}

{{- define "modelwright.rules.events" }}
- apiGroups: [""]
  resources: [events]
  verbs: [get, list, create, patch]
{{- end }}
