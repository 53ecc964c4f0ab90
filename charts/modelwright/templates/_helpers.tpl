{{/* Name of the chart, as the label app.kubernetes.io/name. */}}
{{- define "modelwright.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/* Prefix of all names. 36 characters leave room for the longest suffix in a DNS label of 63. */}}
{{- define "modelwright.fullname" -}}
{{- $name := include "modelwright.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Name of the operator's own objects: Deployment, Service, Lease and so on. */}}
{{- define "modelwright.operator" -}}
{{ include "modelwright.fullname" . }}-operator
{{- end }}

{{/* Labels that never change: a Deployment's selector cannot be edited. */}}
{{- define "modelwright.selectorLabels" -}}
app.kubernetes.io/name: {{ include "modelwright.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "modelwright.labels" -}}
{{ include "modelwright.labelsWith" (list . dict) }}
{{- end }}

{{/* The labels of an object with some of its own, which count more than those of all. Takes [context, labels]. */}}
{{- define "modelwright.labelsWith" -}}
{{- $context := index . 0 }}
{{- include "modelwright.selectorLabels" $context }}
{{ include "modelwright.releaseLabels" $context }}
{{- with merge dict (default dict (index . 1)) (default dict $context.Values.commonLabels) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that say which release an object is of. */}}
{{- define "modelwright.releaseLabels" -}}
app.kubernetes.io/part-of: modelwright
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "modelwright.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "modelwright.operator" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Name of the admission policy that checks approvals, and of its binding; empty where there is none. */}}
{{- define "modelwright.approvalsPolicy" -}}
{{- if and .Values.approvals.policy.enabled (not (include "modelwright.scope" .)) }}
{{- include "modelwright.fullname" . }}-approvals
{{- end }}
{{- end }}

{{/* An image reference. Takes [context, {repository, tag, digest}]; a registry in the repository counts more than that of all. */}}
{{- define "modelwright.image" -}}
{{- $context := index . 0 }}
{{- $image := index . 1 }}
{{- $repository := $image.repository }}
{{- with get (default dict $context.Values.global) "imageRegistry" }}
{{- if not (regexMatch "^([^/]*[.:][^/]*|localhost)/" $repository) }}{{ $repository = printf "%s/%s" . $repository }}{{ end }}
{{- end }}
{{- $tagged := printf "%s:%s" $repository (default $context.Chart.AppVersion $image.tag) }}
{{- if $image.digest }}
{{- printf "%s@%s" $tagged $image.digest }}
{{- else }}
{{- $tagged }}
{{- end }}
{{- end }}

{{/* Names of Secrets to pull images with, as a JSON list: those of all charts, then these. Takes [context, secrets]. */}}
{{- define "modelwright.pullSecrets" -}}
{{- $names := list }}
{{- range concat (default list (get (default dict (index . 0).Values.global) "imagePullSecrets")) (default list (index . 1)) }}
{{- $names = append $names (ternary . (get (ternary dict . (kindIs "string" .)) "name") (kindIs "string" .)) }}
{{- end }}
{{- mustToRawJson (uniq $names) }}
{{- end }}

{{/* The operator's arguments, as a JSON list: values may hold anything, quotes included. */}}
{{- define "modelwright.args" -}}
{{- $args := list
  (printf "--lease-namespace=%s" .Release.Namespace)
  (printf "--lease-name=%s" (include "modelwright.operator" .))
  (printf "--serving-image=%s" (include "modelwright.image" (list . .Values.servingImage)))
  (printf "--training-image=%s" (include "modelwright.image" (list . .Values.trainingImage)))
}}
{{- /* An option whose value is null is left out: the operator has a default of its own. */}}
{{- range list
  (list "serving-image-policy" .Values.workloads.serving.imagePolicy)
  (list "max-concurrent-rollouts" .Values.workloads.serving.maxConcurrentRollouts)
  (list "image-pull-policy" .Values.workloads.imagePullPolicy)
  (list "artifacts-size" .Values.artifacts.size)
  (list "artifacts-access-mode" .Values.artifacts.accessMode)
  (list "health-port" 8080)
  (list "log-level" .Values.logLevel)
  (list "pod-template" (mustToRawJson (default dict .Values.workloads.podTemplate)))
}}
{{- if not (kindIs "invalid" (index . 1)) }}{{ $args = append $args (printf "--%s=%v" (index . 0) (index . 1)) }}{{ end }}
{{- end }}
{{- range include "modelwright.scope" . | default "[]" | fromJsonArray }}{{ $args = append $args (printf "--namespace=%s" .) }}{{ end }}
{{- with .Values.artifacts.uri }}{{ $args = append $args (printf "--artifacts-uri=%s" .) }}{{ end }}
{{- with .Values.artifacts.storageClassName }}{{ $args = append $args (printf "--artifacts-storage-class=%s" .) }}{{ end }}
{{- with include "modelwright.approvalsPolicy" . }}{{ $args = append $args (printf "--approvals-policy=%s" .) }}{{ end }}
{{- if not .Values.metrics.serviceRules.enabled }}{{ $args = append $args "--no-alert-rules" }}{{ end }}
{{- if not .Values.workloads.serving.podDisruptionBudgets }}{{ $args = append $args "--no-disruption-budgets" }}{{ end }}
{{- with .Values.metrics.serviceRules.labels }}{{ $args = append $args (printf "--alert-rule-labels=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.prometheus.url }}{{ $args = append $args (printf "--prometheus-url=%s" .) }}{{ end }}
{{- if or .Values.prometheus.caConfigMapRef .Values.prometheus.caSecretRef }}{{ $args = append $args "--prometheus-ca-file=/etc/prometheus/ca/ca.crt" }}{{ end }}
{{- if .Values.prometheus.tokenSecretRef }}{{ $args = append $args "--prometheus-token-file=/etc/prometheus/token/token" }}{{ end }}
{{- with .Values.prometheus.tenant }}{{ $args = append $args (printf "--prometheus-header=X-Scope-OrgID: %s" .) }}{{ end }}
{{- range $name, $value := .Values.prometheus.headers }}{{ $args = append $args (printf "--prometheus-header=%s: %s" $name $value) }}{{ end }}
{{- with .Values.workloads.training.resources }}{{ $args = append $args (printf "--training-resources=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.serving.resources }}{{ $args = append $args (printf "--serving-resources=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.training.podTemplate }}{{ $args = append $args (printf "--training-pod-template=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.serving.podTemplate }}{{ $args = append $args (printf "--serving-pod-template=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.serving.passHeaders }}{{ $args = append $args (printf "--pass-headers=%s" (join "," .)) }}{{ end }}
{{- with .Values.stores.defaults }}{{ $args = append $args (printf "--stores=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.stores.allowedNetworks }}{{ $args = append $args (printf "--allowed-networks=%s" (join "," .)) }}{{ end }}
{{- range include "modelwright.pullSecrets" (list . .Values.workloads.imagePullSecrets) | fromJsonArray }}{{ $args = append $args (printf "--image-pull-secret=%s" .) }}{{ end }}
{{- mustToRawJson (concat $args (default list .Values.extraArgs)) }}
{{- end }}
