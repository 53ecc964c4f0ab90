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
{{ include "modelwright.selectorLabels" . }}
{{ include "modelwright.releaseLabels" . }}
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
{{- if and .Values.approvals.policy.enabled (not .Values.scope.namespace) }}
{{- include "modelwright.fullname" . }}-approvals
{{- end }}
{{- end }}

{{/* An image reference. Takes {image: {repository, tag, digest}, tag: the default tag}. */}}
{{- define "modelwright.image" -}}
{{- $tagged := printf "%s:%s" .image.repository (default .tag .image.tag) }}
{{- if .image.digest }}
{{- printf "%s@%s" $tagged .image.digest }}
{{- else }}
{{- $tagged }}
{{- end }}
{{- end }}

{{/* The operator's arguments, as a JSON list: values may hold anything, quotes included. */}}
{{- define "modelwright.args" -}}
{{- $args := list
  (printf "--lease-namespace=%s" .Release.Namespace)
  (printf "--lease-name=%s" (include "modelwright.operator" .))
  (printf "--serving-image=%s" (include "modelwright.image" (dict "image" .Values.servingImage "tag" .Chart.AppVersion)))
  (printf "--training-image=%s" (include "modelwright.image" (dict "image" .Values.trainingImage "tag" .Chart.AppVersion)))
  (printf "--serving-image-policy=%s" .Values.workloads.serving.imagePolicy)
  (printf "--max-concurrent-rollouts=%v" .Values.workloads.serving.maxConcurrentRollouts)
  (printf "--image-pull-policy=%s" .Values.workloads.imagePullPolicy)
  (printf "--artifacts-size=%v" .Values.artifacts.size)
  (printf "--artifacts-access-mode=%s" .Values.artifacts.accessMode)
  "--health-port=8080"
  (printf "--log-level=%s" .Values.logLevel)
}}
{{- with .Values.scope.namespace }}{{ $args = append $args (printf "--namespace=%s" .) }}{{ end }}
{{- with .Values.artifacts.uri }}{{ $args = append $args (printf "--artifacts-uri=%s" .) }}{{ end }}
{{- with .Values.artifacts.storageClassName }}{{ $args = append $args (printf "--artifacts-storage-class=%s" .) }}{{ end }}
{{- with include "modelwright.approvalsPolicy" . }}{{ $args = append $args (printf "--approvals-policy=%s" .) }}{{ end }}
{{- if not .Values.metrics.serviceRules.enabled }}{{ $args = append $args "--no-alert-rules" }}{{ end }}
{{- with .Values.metrics.serviceRules.labels }}{{ $args = append $args (printf "--alert-rule-labels=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.prometheus.url }}{{ $args = append $args (printf "--prometheus-url=%s" .) }}{{ end }}
{{- with .Values.workloads.training.resources }}{{ $args = append $args (printf "--training-resources=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.serving.resources }}{{ $args = append $args (printf "--serving-resources=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.workloads.serving.passHeaders }}{{ $args = append $args (printf "--pass-headers=%s" (join "," .)) }}{{ end }}
{{- with .Values.stores.defaults }}{{ $args = append $args (printf "--stores=%s" (mustToRawJson .)) }}{{ end }}
{{- with .Values.stores.allowedNetworks }}{{ $args = append $args (printf "--allowed-networks=%s" (join "," .)) }}{{ end }}
{{- range .Values.workloads.imagePullSecrets }}{{ $args = append $args (printf "--image-pull-secret=%s" .) }}{{ end }}
{{- mustToRawJson (concat $args .Values.extraArgs) }}
{{- end }}
