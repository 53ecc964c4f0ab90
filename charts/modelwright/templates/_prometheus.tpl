{{/* The files for Prometheus: folders, not single files, so that what is rotated arrives in a pod that runs. */}}
{{- define "modelwright.prometheusMounts" -}}
{{- if or .Values.prometheus.caConfigMapRef .Values.prometheus.caSecretRef }}
- {name: prometheus-ca, mountPath: /etc/prometheus/ca, readOnly: true}
{{- end }}
{{- if .Values.prometheus.tokenSecretRef }}
- {name: prometheus-token, mountPath: /etc/prometheus/token, readOnly: true}
{{- end }}
{{- end }}

{{/* They are optional: a Secret that is not there yet keeps no operator from starting, and is said where a query fails. */}}
{{- define "modelwright.prometheusVolumes" -}}
{{- with .Values.prometheus.caConfigMapRef }}
- name: prometheus-ca
  configMap:
    name: {{ .name }}
    items: [{key: {{ .key }}, path: ca.crt}]
    optional: true
{{- end }}
{{- with .Values.prometheus.caSecretRef }}
- name: prometheus-ca
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key }}, path: ca.crt}]
    optional: true
{{- end }}
{{- with .Values.prometheus.tokenSecretRef }}
- name: prometheus-token
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key }}, path: token}]
    optional: true
{{- end }}
{{- end }}
