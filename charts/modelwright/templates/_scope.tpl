{{/* The namespaces of the release, as a JSON list; empty: all. */}}
{{- define "modelwright.scope" -}}
{{- $namespaces := .Values.scope.namespaces }}
{{- with .Values.scope.namespace }}{{ $namespaces = list . }}{{ end }}
{{- with $namespaces }}{{ mustToRawJson . }}{{ end }}
{{- end }}

{{/* Patterns as regular expressions, as a list of CEL. */}}
{{- define "modelwright.patterns" -}}
{{- $expressions := list }}
{{- range . }}{{ $expressions = append $expressions (printf "^%s$" (regexQuoteMeta . | replace "\\*" ".*")) }}{{ end }}
{{- mustToRawJson $expressions }}
{{- end }}

{{/* What a message says of patterns. */}}
{{- define "modelwright.allowed" -}}
{{- if . }}, only {{ join " and " . }} may be named{{ else }}, none may be named{{ end }}
{{- end }}
