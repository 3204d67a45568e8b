{{- define "tryout.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: fed-sx-tryout
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "tryout.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The images run as any user, so the servers run as one that neither knows; passwd gives it the name they ask for. */}}
{{- define "tryout.podSecurity" -}}
runAsNonRoot: true
runAsUser: 999
runAsGroup: 999
fsGroup: 999
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tryout.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A password that is drawn once and read from the cluster ever after. */}}
{{- define "tryout.password" -}}
{{- $kept := lookup "v1" "Secret" .root.Release.Namespace "tryout-passwords" -}}
{{- with dig "data" .name "" ($kept | default dict) }}{{ . | b64dec }}{{ else }}{{ randAlphaNum 32 }}{{ end -}}
{{- end }}

{{/* The volumes of a node's folder are this namespace's alone. */}}
{{- define "tryout.storageClass" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}-static
{{- end }}

{{/* A size as text; a number without the exponent that a template would give it. */}}
{{- define "tryout.size" -}}
{{- toJson . | trimAll "\"" | quote -}}
{{- end }}

{{- define "tryout.volumeClaim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  {{- if .root.Values.storage.path }}
  storageClassName: {{ include "tryout.storageClass" .root }}
  {{- else if .root.Values.storage.className }}
  storageClassName: {{ .root.Values.storage.className }}
  {{- end }}
  {{- if .root.Values.storage.path }}
  selector:
    matchLabels:
      {{- include "tryout.selector" . | nindent 6 }}
  {{- end }}
  resources: {requests: {storage: {{ include "tryout.size" .size }}}}
{{- end }}
