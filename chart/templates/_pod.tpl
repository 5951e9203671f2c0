{{/*
One Deployment: (root, component, roles, replicas).
*/}}
{{- define "muster.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "muster.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- with include "muster.replicas" . }}
  replicas: {{ . }}
  {{- end }}
  revisionHistoryLimit: 3
  # One more at a time, none fewer: agents notice nothing, and the leader hands over once per pod at most.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "muster.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      annotations:
        checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
        {{- with $root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      labels:
        {{- include "muster.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        {{- with $root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "muster.podCommon" $root | nindent 6 }}
      # Longer than the stop deadline: a replica stops by itself, and says what did not.
      terminationGracePeriodSeconds: {{ add (int (include "muster.stopSeconds" $root)) $root.Values.terminationSlackSeconds }}
      {{- include "muster.placement" (dict "root" $root "component" .component) | nindent 6 }}
      containers:
        - name: muster
          image: {{ include "muster.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve]
          securityContext:
            {{- include "muster.containerSecurity" $root | nindent 12 }}
          ports:
            - { name: http, containerPort: 8080, protocol: TCP }
          envFrom:
            - configMapRef: { name: {{ include "muster.fullname" $root | quote }} }
          env:
            - { name: MUSTER_ROLES, value: {{ .roles | quote }} }
            - name: MUSTER_REPLICA
              valueFrom: { fieldRef: { fieldPath: metadata.name } }
            - name: POD_IP
              valueFrom: { fieldRef: { fieldPath: status.podIP } }
            - { name: MUSTER_PUBLIC_ADDRESS, value: '{{ include "muster.scheme" $root }}://{{ ternary "[$(POD_IP)]" "$(POD_IP)" (contains ":" $root.Values.listenHost) }}:8080' }
            {{- include "muster.databaseUrl" (list "MUSTER_DATABASE_URL" $root.Values.database.urlKey $root) | nindent 12 }}
            {{- if and $root.Values.database.leaderUrlKey (contains "leader" .roles) }}
            {{- include "muster.databaseUrl" (list "MUSTER_LEADER_DATABASE_URL" $root.Values.database.leaderUrlKey $root) | nindent 12 }}
            {{- end }}
            {{- if and $root.Values.source.existingSecret (contains "workers" .roles) }}
            - name: MUSTER_SOURCE_TOKEN
              valueFrom:
                secretKeyRef: { name: {{ $root.Values.source.existingSecret | quote }}, key: {{ $root.Values.source.tokenKey | quote }} }
            {{- end }}
            {{- with $root.Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- include "muster.probes" $root | nindent 10 }}
          resources:
            {{- toYaml $root.Values.resources | nindent 12 }}
          volumeMounts:
            - { name: trust, mountPath: /etc/muster/trust, readOnly: true }
            {{- include "muster.tls" (list "volumeMounts" $root) | nindent 12 }}
            {{- with $root.Values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: trust
          configMap: { name: {{ include "muster.trustConfigMap" $root | quote }} }
        {{- include "muster.tls" (list "volumes" $root) | nindent 8 }}
        {{- with $root.Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/*
How many pods: (root, name, roles, replicas). Where they are scaled, as many as there are: without the field the API server
would make it one, and another number would undo what the autoscaler chose. Nothing only where the field is certain to stay
as it is: of what is applied on the server's side it belongs to whoever scaled, and to give it would be a conflict as soon
as that changes, be it while the migration runs.
*/}}
{{- define "muster.replicas" -}}
{{- if not (and (contains "api" .roles) .root.Values.autoscaling.enabled) -}}
{{ .replicas }}
{{- else -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace .name -}}
{{- if not $live -}}
{{ .root.Values.autoscaling.minReplicas }}
{{- else -}}
{{- $applied := false -}}
{{- $scaled := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- $spec := dig "fieldsV1" "f:spec" dict . -}}
{{- if and (eq (get . "operation") "Apply") (hasKey $spec "f:template") }}{{ $applied = true }}{{ end -}}
{{- if and (eq (get . "subresource") "scale") (hasKey $spec "f:replicas") }}{{ $scaled = true }}{{ end -}}
{{- end -}}
{{- if not (and $applied $scaled) }}{{ $live.spec.replicas }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Liveness never asks the database: a database that is away must not restart every pod. A follower is ready. */}}
{{- define "muster.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: http, scheme: {{ include "muster.scheme" . | upper }} }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: http, scheme: {{ include "muster.scheme" . | upper }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
# Two probes fit into the drain delay (5 s), so that a pod leaves the Service while it still serves; one slow answer of a
# busy database takes nobody out.
readinessProbe:
  httpGet: { path: /readyz, port: http, scheme: {{ include "muster.scheme" . | upper }} }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{- define "muster.podCommon" -}}
automountServiceAccountToken: false
# Variables like MUSTER_PORT for each Service of the namespace would read like settings.
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "muster.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "muster.placement" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- if $root.Values.affinity -}}
affinity:
  {{- toYaml $root.Values.affinity | nindent 2 }}
{{- else if ne $root.Values.antiAffinity "none" -}}
affinity:
  podAntiAffinity:
    {{- if eq $root.Values.antiAffinity "hard" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "muster.selector" $root | nindent 12 }}
            app.kubernetes.io/component: {{ $component }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "muster.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $component }}
    {{- end }}
{{- end }}
{{- if $root.Values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $root.Values.topologySpread.whenUnsatisfiable }}
    # Pods of the version that is being replaced do not count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "muster.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $component }}
  {{- end }}
{{- end }}
{{- end -}}
