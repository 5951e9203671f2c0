{{- define "muster.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "muster.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "muster.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "muster.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects pods: must never change, a Deployment's selector is immutable. */}}
{{- define "muster.selector" -}}
app.kubernetes.io/name: {{ include "muster.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "muster.labels" -}}
{{ include "muster.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The component that serves. */}}
{{- define "muster.serving" -}}
{{- if .Values.split.enabled -}}api{{- else -}}muster{{- end -}}
{{- end -}}

{{- define "muster.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{/* Pods under the `restricted` Pod Security level; the image's user is 1000 (node). Takes the root. */}}
{{- define "muster.podSecurity" -}}
runAsNonRoot: true
{{- if .Values.fixedUser }}
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "muster.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* An URL from the database's Secret: (name of the variable, key, root). */}}
{{- define "muster.databaseUrl" -}}
{{- $root := index . 2 -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ required "database.existingSecret is required: the name of a Secret with the PostgreSQL URL" $root.Values.database.existingSecret | quote }}
      key: {{ index . 1 | quote }}
{{- end -}}

{{- define "muster.trustConfigMap" -}}
{{- if .Values.trust.existingConfigMap -}}
{{ .Values.trust.existingConfigMap }}
{{- else -}}
{{- $_ := required "trust.existingConfigMap or trust.json is required: the keys that releases are signed with" .Values.trust.json -}}
{{ include "muster.fullname" . }}-trust
{{- end -}}
{{- end -}}

{{/* `settings`, as variables: maxParkedPolls becomes MUSTER_MAX_PARKED_POLLS. */}}
{{- define "muster.settings" -}}
MUSTER_SCHEMA: {{ .Values.database.schema | quote }}
MUSTER_LISTEN_HOST: {{ .Values.listenHost | quote }}
MUSTER_LISTEN_PORT: "8080"
MUSTER_SOURCE: {{ required "source.url is required: where signed artifacts come from" .Values.source.url | quote }}
MUSTER_TRUST_FILE: {{ printf "/etc/muster/trust/%s" .Values.trust.key | quote }}
{{- if .Values.tls.existingSecret }}
MUSTER_TLS_CERT_FILE: /etc/muster/tls/tls.crt
MUSTER_TLS_KEY_FILE: /etc/muster/tls/tls.key
{{- end }}
{{- range $setting, $of := dict "CLIENT_CA" .Values.clientCa "OPERATOR_CA" .Values.operatorCa }}
{{- if $of.existingConfigMap }}
MUSTER_{{ $setting }}_FILE: {{ printf "/etc/muster/%s/%s" ($setting | lower | replace "_" "-") $of.key | quote }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
MUSTER_{{ snakecase $name | upper }}: {{ if kindIs "float64" $value }}{{ $value | toJson | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- end -}}

{{- define "muster.scheme" -}}
{{- ternary "http" "https" (empty .Values.tls.existingSecret) -}}
{{- end -}}

{{/* What the TLS settings above name: (one of volumes and volumeMounts is asked for by its name, root). */}}
{{- define "muster.tls" -}}
{{- $kind := index . 0 -}}
{{- $root := index . 1 -}}
{{- if $root.Values.tls.existingSecret }}
{{- if eq $kind "volumes" }}
- name: tls
  # The key is the group's to read, and nobody else's.
  secret: { secretName: {{ $root.Values.tls.existingSecret | quote }}, defaultMode: 0440 }
{{- else }}
- { name: tls, mountPath: /etc/muster/tls, readOnly: true }
{{- end }}
{{- end }}
{{- range $name, $of := dict "client-ca" $root.Values.clientCa "operator-ca" $root.Values.operatorCa }}
{{- if $of.existingConfigMap }}
{{- if eq $kind "volumes" }}
- name: {{ $name }}
  configMap: { name: {{ $of.existingConfigMap | quote }} }
{{- else }}
- { name: {{ $name }}, mountPath: /etc/muster/{{ $name }}, readOnly: true }
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* In whole seconds, as Kubernetes counts: a deadline may have a fraction. */}}
{{- define "muster.stopSeconds" -}}
{{- dig "stopDeadlineSeconds" 25 .Values.settings | ceil | int -}}
{{- end -}}
