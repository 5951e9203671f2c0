{{/*
What a schema of single values cannot say. Everything that is wrong is said at once, before anything changes; the
ConfigMap includes it, since every release has one.
*/}}
{{- define "muster.checks" -}}
{{- $problems := concat (include "muster.checks.together" . | fromYamlArray) (include "muster.checks.taken" . | fromYamlArray) (include "muster.checks.settings" . | fromYamlArray) (include "muster.checks.secrets" . | fromYamlArray) (include "muster.checks.reach" . | fromYamlArray) (include "muster.checks.extras" . | fromYamlArray) (include "muster.checks.resources" . | fromYamlArray) -}}
{{- if not (eq (toString .Values.settings.strict) "false") -}}
{{- $missing := include "muster.checks.strict" . | fromYamlArray -}}
{{- if $missing -}}
{{- $why := "strict mode wants these, and sslmode=verify-full in every URL of database.existingSecret; for a trial, start without: settings.strict=false" -}}
{{- $problems = concat $problems $missing (list $why) -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "the values are not usable:\n  - %s" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "muster.checks.together" -}}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
- autoscaling.minReplicas ({{ .minReplicas }}) is more than autoscaling.maxReplicas ({{ .maxReplicas }})
{{- end }}
{{- $cpu := get ($.Values.resources.requests | default dict) "cpu" }}
{{- if and .enabled (or (not $cpu) (eq 0.0 (float64 (include "muster.quantity" $cpu)))) }}
- "autoscaling.enabled needs resources.requests.cpu: the autoscaler counts in parts of it, and without it never scales"
{{- end }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
- "gateway.parentRefs is required: the Gateways that lead to operators' pages"
{{- end }}
{{- if and .Values.prometheusRule.enabled (not (or .Values.serviceMonitor.enabled .Values.prometheusRule.selector)) }}
- "prometheusRule.selector is required without serviceMonitor.enabled: which series are this release's"
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
- "ingress.host is required: the name that operators call"
{{- end }}
{{- range $name, $hosts := dict "ingress.host" (list .Values.ingress.host) "gateway.hostnames" .Values.gateway.hostnames }}
{{- range $hosts }}
{{- if regexMatch "^[0-9.]+$" . }}
- "{{ $name }} is {{ . }}: it takes a name that operators call, not an address"
{{- end }}
{{- end }}
{{- end }}
{{- if regexMatch "^pg_|^information_schema$" .Values.database.schema }}
- "database.schema must not be {{ .Values.database.schema }}: PostgreSQL keeps pg_… and information_schema to itself"
{{- end }}
{{- if hasSuffix "_v1" .Values.database.schema }}
- "database.schema must not end in _v1: an installation NAME has its views in the schema NAME_v1"
{{- end }}
{{- if regexMatch "^(127[.]|[0:]*:0*1$)" .Values.listenHost }}
- "listenHost {{ .Values.listenHost }} is a pod's own loopback, where neither probes nor callers come: 0.0.0.0, or :: for IPv6"
{{- end }}
{{- if and .Values.trust.json (not .Values.trust.existingConfigMap) }}
{{- $trust := fromJson .Values.trust.json }}
{{- if not (and (eq (toString $trust.schemaVersion) "1") (kindIs "map" $trust.ciReleaseKey)) }}
- "trust.json is no trust file: JSON with schemaVersion 1 and ciReleaseKey, as muster keygen writes it"
{{- end }}
{{- end }}
{{- range $escape := regexFindAll "\\\\." .Values.prometheusRule.selector -1 }}
{{- if not (regexMatch "[abfnrtv\"\\\\]$" $escape) }}
- {{ printf "prometheusRule.selector has %s, which PromQL does not know in a string: write \\%s" $escape $escape | quote }}
{{- end }}
{{- end }}
{{- if regexMatch "(^|, ?)__name__[=!]" .Values.prometheusRule.selector }}
- "prometheusRule.selector must not have __name__: the rules name their metrics"
{{- end }}
{{- range $matcher := regexFindAll "(=~|!~)\"([^\"\\\\]|\\\\.)*\"" .Values.prometheusRule.selector -1 }}
{{- $expression := regexReplaceAll "^..\"|\"$" $matcher "" | replace "\\\\" "\\" }}
{{- /* What does not compile matches nothing, not even this. */}}
{{- if not (regexMatch (printf "|%s" $expression) "") }}
- {{ printf "prometheusRule.selector has %s, which is no regular expression" $expression | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every process would say as it refuses to start (src/config.ts), and what no pod could reach. */}}
{{- define "muster.checks.settings" -}}
{{- with .Values.settings }}
{{- if le (float64 (.stopDeadlineSeconds | default 25)) (float64 (dig "drainDelaySeconds" 5 .)) }}
- settings.stopDeadlineSeconds must be longer than settings.drainDelaySeconds
{{- end }}
{{- /* Numbers are the defaults of src/config/schema.ts; test/chart asks the process whether it agrees. */}}
{{- if gt (int64 (dig "batchRows" 1000 .)) (int64 (dig "batcherMaxRows" 10000 .)) }}
- settings.batchRows must not exceed settings.batcherMaxRows
{{- end }}
{{- if gt (int64 (dig "batcherMaxRows" 10000 .)) (int64 (dig "queueMaxRows" 200000 .)) }}
- settings.batcherMaxRows must not exceed settings.queueMaxRows
{{- end }}
{{- if ge (int64 (dig "maxParkedPolls" 20000 .)) (int64 (dig "maxConnections" 25000 .)) }}
- settings.maxConnections must exceed settings.maxParkedPolls
{{- end }}
{{- $absent := mulf 3 (float64 (dig "heartbeatSeconds" 60 .)) }}
{{- range $grace, $minutes := dict "offlineGraceMinutes" 15 "deliveredGraceMinutes" 30 }}
{{- if lt (mulf 60 (float64 (dig $grace $minutes $.Values.settings))) $absent }}
- settings.{{ $grace }} must be at least three of settings.heartbeatSeconds
{{- end }}
{{- end }}
{{- if le (mulf 1000 (float64 (dig "queueMaxAgeSeconds" 120 .))) (float64 (dig "verdictWaitMs" 2000 .)) }}
- settings.queueMaxAgeSeconds must be longer than settings.verdictWaitMs
{{- end }}
{{- if .devIdentity }}
- "settings.devIdentity believes any caller and works on loopback only, where no pod is asked; for a trial: settings.strict=false"
{{- end }}
{{- if and .closureSource (not (regexMatch "^https?://." .closureSource)) }}
- "settings.closureSource must be an http(s) URL, such as https://cache.example.net"
{{- end }}
{{- if and .checkpointTo (not (regexMatch "^(https?://.|/)" .checkpointTo)) }}
- "settings.checkpointTo must be an http(s) URL or the absolute path of a file, in a volume of extraVolumeMounts"
{{- end }}
{{- if and .caCertFile (eq (empty .caKeyFile) (empty .caSignCommand)) }}
- "settings.caCertFile needs what signs for it: one of settings.caSignCommand and settings.caKeyFile"
{{- end }}
{{- if and (not .caCertFile) (or .caKeyFile .caSignCommand) }}
- "settings.caKeyFile and settings.caSignCommand sign for settings.caCertFile: set it as well"
{{- end }}
{{- end }}
{{- range $authority := list "clientCa" "operatorCa" }}
{{- if and (index $.Values $authority).existingConfigMap (not $.Values.tls.existingSecret) }}
- "{{ $authority }}.existingConfigMap needs tls.existingSecret: clients present their certificates in TLS"
{{- end }}
{{- end }}
{{- end -}}

{{/* What would be in plain sight: in values, in Helm's history, in pods' descriptions. Nothing of it is repeated. */}}
{{- define "muster.checks.secrets" -}}
{{- range $name, $value := .Values.settings }}
{{- if regexMatch "://[^/?#]*@" (toString $value) }}
- "settings.{{ $name }} must have no login in its URL: nothing secret is a value of this chart"
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if regexMatch "^MUSTER_" .name }}
- "extraEnv must not have {{ .name }}: what is Muster's own stands under settings, where it is checked, or has a value of its own"
{{- else if and (regexMatch "(?i)pass(w|ph)|(^|_)pass(_|$)|secret|token|credential|api_?key" .name) (not (regexMatch "_(FILE|file|PATH|path)$" .name)) (not (get (.valueFrom | default dict) "secretKeyRef")) }}
- "extraEnv must have {{ .name }} from a Secret: valueFrom.secretKeyRef, with its name and key"
{{- else if regexMatch "://[^/?#]*@" (.value | default "") }}
- "extraEnv must have {{ .name }} from a Secret, since there is a login in its URL: valueFrom.secretKeyRef, with its name and key"
{{- end }}
{{- end }}
{{- with .Values }}
{{- $keys := dict "database.urlKey" .database.urlKey "database.leaderUrlKey" .database.leaderUrlKey "database.migrateUrlKey" .database.migrateUrlKey "source.tokenKey" .source.tokenKey "trust.key" .trust.key "clientCa.key" .clientCa.key "operatorCa.key" .operatorCa.key }}
{{- range $name, $key := $keys }}
{{- if regexMatch "^([.]$|[.][.])" $key }}
- "{{ $name }} is {{ $key }}, and no Secret or ConfigMap may have such a key"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* URLs that pods call: what a policy would keep from them, and what should not be in values. */}}
{{- define "muster.checks.reach" -}}
{{- if and .Values.source.existingSecret .Values.source.url (not (hasPrefix "http" .Values.source.url)) }}
- "source.existingSecret holds a token for an http(s) source, and source.url is a directory: set source.url to a URL, or leave the Secret out"
{{- end }}
{{- $open := list }}
{{- range .Values.networkPolicy.egressPorts }}{{ $open = append $open (toString .) }}{{ end }}
{{- range $name, $url := dict "source.url" .Values.source.url "settings.closureSource" .Values.settings.closureSource "settings.checkpointTo" .Values.settings.checkpointTo }}
{{- if hasPrefix "http" (toString $url) }}
{{- $named := regexFind ":[0-9]+$" (regexFind "^https?://[^/?#]+" $url) | trimPrefix ":" }}
{{- $port := $named | default (ternary "443" "80" (hasPrefix "https:" $url)) }}
{{- if and $.Values.networkPolicy.enabled (not (has $port $open)) }}
- "networkPolicy.egressPorts lacks {{ $port }}, the port of {{ $name }}: pods could not reach it"
{{- end }}
{{- if regexMatch "[?#]" $url }}
- "{{ $name }} must have no query: a token there would be in plain sight, in values and in logs{{ ternary "; give one by source.existingSecret" "" (eq $name "source.url") }}"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Arguments, variables and volumes that values add to what the chart has. */}}
{{- define "muster.checks.extras" -}}
{{- range .Values.migrations.args }}
{{- if and (hasPrefix "-" .) (not (has . (list "--roles" "--role-prefix" "--json"))) }}
- {{ printf "migrations.args must not have %s: the job is there to migrate, with --roles and --role-prefix NAME at the most" (regexFind "^[^=]*" .) | quote }}
{{- end }}
{{- end }}
{{- if regexMatch "(^|,)--role-prefix(,--|$)" (join "," .Values.migrations.args) }}
- "migrations.args must have a name after --role-prefix"
{{- end }}
{{- $names := list }}
{{- range .Values.extraEnv }}
{{- if eq .name "POD_IP" }}
- "extraEnv must not have POD_IP, which the chart sets"
{{- end }}
{{- if has .name $names }}
- "extraEnv has {{ .name }} twice"
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $volumes := list }}
{{- range .Values.extraVolumes }}
{{- if has .name (list "trust" "tls" "client-ca" "operator-ca") }}
- extraVolumes must not have {{ .name }}, which the chart has
{{- end }}
{{- if has .name $volumes }}
- extraVolumes has {{ .name }} twice
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $paths := list }}
{{- range .Values.extraVolumeMounts }}
{{- if has .mountPath $paths }}
- {{ printf "extraVolumeMounts has %s twice" .mountPath | quote }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- if has (trimSuffix "/" .mountPath) (list "/etc/muster/trust" "/etc/muster/tls" "/etc/muster/client-ca" "/etc/muster/operator-ca") }}
- extraVolumeMounts must not have {{ .mountPath }}, where the chart mounts its own
{{- end }}
{{- if has (trimSuffix "/" .mountPath) (list "/etc" "/etc/muster") }}
- extraVolumeMounts must not have {{ .mountPath }}, above where the chart mounts its own
{{- end }}
{{- if has (trimSuffix "/" .mountPath) (list "" "/app") }}
- {{ printf "extraVolumeMounts must not have %s, where the program is" .mountPath | quote }}
{{- end }}
{{- if not (has .name $volumes) }}
- {{ printf "extraVolumeMounts has %s, and extraVolumes has no such volume" .name | quote }}
{{- end }}
{{- end }}
{{- $under := append $paths "/etc/muster/trust" }}
{{- if .Values.tls.existingSecret }}{{ $under = append $under "/etc/muster/tls" }}{{ end }}
{{- if .Values.clientCa.existingConfigMap }}{{ $under = append $under "/etc/muster/client-ca" }}{{ end }}
{{- if .Values.operatorCa.existingConfigMap }}{{ $under = append $under "/etc/muster/operator-ca" }}{{ end }}
{{- range $name, $path := dict "source.url" .Values.source.url "settings.caCertFile" .Values.settings.caCertFile "settings.caKeyFile" .Values.settings.caKeyFile }}
{{- $there := or (not $path) (hasPrefix "http" (toString $path)) }}
{{- range $under }}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .)) (printf "%s/" $path) }}{{ $there = true }}{{ end }}
{{- end }}
{{- if not $there }}
- {{ printf "%s is %s, and no mount of extraVolumeMounts is above it: nothing brings it into the pods" $name $path | quote }}
{{- end }}
{{- end }}
{{- range $name := list "checkpointTo" "logExportDir" }}
{{- $path := index $.Values.settings $name | default "" }}
{{- $under := hasPrefix "http" $path }}
{{- range $.Values.extraVolumeMounts }}
{{- if and (not .readOnly) (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" $path)) }}{{ $under = true }}{{ end }}
{{- end }}
{{- if and $path (not $under) }}
- {{ printf "settings.%s is %s, and no writable mount of extraVolumeMounts is above it: the root file system is read only" $name $path | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A quantity of Kubernetes as a number: 250m, 1.5, 320Mi, 1e9. */}}
{{- define "muster.quantity" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" $text -}}
{{- $units := dict "n" 1e-9 "u" 1e-6 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- mulf (float64 $number) (float64 (get $units (trimPrefix $number $text) | default 1.0)) | printf "%f" -}}
{{- end -}}

{{/* The API server refuses a limit below its request, when the hook has migrated already. */}}
{{- define "muster.checks.resources" -}}
{{- range $name := list "resources" "migrationResources" }}
{{- $of := index $.Values $name }}
{{- range $what, $limit := $of.limits }}
{{- $request := get ($of.requests | default dict) $what }}
{{- if and $limit $request (lt (float64 (include "muster.quantity" $limit)) (float64 (include "muster.quantity" $request))) }}
- {{ $name }}.limits.{{ $what }} is {{ $limit }}, less than {{ $name }}.requests.{{ $what }}, which is {{ $request }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Labels that select pods, or say what an object is, are the chart's: a second one would make it nobody's. */}}
{{- define "muster.checks.taken" -}}
{{- $labels := append (include "muster.labels" . | fromYaml | keys) "app.kubernetes.io/component" -}}
{{- $given := dict "podLabels" .Values.podLabels "serviceMonitor.labels" .Values.serviceMonitor.labels "prometheusRule.labels" .Values.prometheusRule.labels "dashboard.labels" .Values.dashboard.labels -}}
{{- range $value, $of := $given }}
{{- range $name := keys $of | sortAlpha }}
{{- if has $name $labels }}
- {{ $value }} must not set {{ $name }}, which the chart sets
{{- end }}
{{- end }}
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "muster.fullname" .)) }}
- "fullnameOverride is required: no Service may be called {{ include "muster.fullname" . }}, only what begins with a letter and has no dot"
{{- end }}
{{- if hasKey .Values.podAnnotations "checksum/config" }}
- podAnnotations must not set checksum/config, which the chart sets
{{- end }}
{{- end -}}

{{/* What of strict mode (docs/operators.md) shows in values: pods would refuse to start without. */}}
{{- define "muster.checks.strict" -}}
{{- if not .Values.tls.existingSecret }}
- "tls.existingSecret: agents and tokens would cross the network in the clear"
{{- end }}
{{- if not .Values.clientCa.existingConfigMap }}
- "clientCa.existingConfigMap: no agent could prove which host it is"
{{- end }}
{{- with .Values.database }}
{{- if or (not .leaderUrlKey) (eq .leaderUrlKey .urlKey) }}
- "database.leaderUrlKey: one login cannot both lead and be kept from writing the event log, as the API's must; give the leader one of its own"
{{- end }}
{{- if and $.Values.migrations.enabled (or (not .migrateUrlKey) (eq .migrateUrlKey .urlKey)) }}
- "database.migrateUrlKey: the API's login may not change the schema; give the one that owns it, or migrate by yourself, with migrations.enabled=false"
{{- end }}
{{- end }}
{{- if and .Values.settings.caKeyFile (not .Values.settings.caKeyFileAllowed) }}
- "settings.caSignCommand: whoever reads settings.caKeyFile can be any host; or set settings.caKeyFileAllowed"
{{- end }}
{{- end -}}
