{{/* What pods have in common. */}}

{{/* As the Pod Security standard `restricted` asks. */}}
{{- define "fed-sx.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "fed-sx.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The beginning of every pod's spec. */}}
{{- define "fed-sx.podSpec" -}}
serviceAccountName: {{ include "fed-sx.serviceAccount" . | quote }}
automountServiceAccountToken: false
# Their variables would be taken for settings.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "fed-sx.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* How long a pod may take to end: the sleep, 15 seconds for what it holds, and a margin; (dict "root" $ "own" 40). */}}
{{- define "fed-sx.gracePeriod" -}}
{{- default (add .root.Values.shutdown.preStopSeconds 15 10) .own | int64 -}}
{{- end -}}

{{/* Startup, readiness and liveness; (dict "root" $ "role" "log"). */}}
{{- define "fed-sx.probes" -}}
startupProbe:
  httpGet: {path: /startupz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div (index .root.Values .role).startupSeconds 2 }}
readinessProbe:
{{- if or (eq .role "gateway") .root.Values.internalTls.existingSecret }}
  httpGet: {path: /readyz, port: admin}
{{- else }}
  # The same answer as /readyz, at the port that callers use.
  grpc: {port: 9000}
{{- end }}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Files of a role; each with the place where it is mounted. (dict "root" $ "role" "log") */}}
{{- define "fed-sx.files" -}}
{{- $values := .root.Values -}}
{{- with $values.internalTls.existingSecret }}
- path: /etc/fed-sx/tls
  volume:
    name: internal-tls
    secret:
      secretName: {{ . }}
      defaultMode: 288
      {{- if has $.role (list "gateway" "toolbox" "self-test") }}
      items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
{{- end }}
{{- if eq .role "gateway" }}
{{- with $values.gateway.tls.existingSecret }}
- path: /etc/fed-sx/listen
  volume:
    name: listen-tls
    secret: {secretName: {{ . }}, defaultMode: 288}
{{- end }}
{{- end }}
{{- if eq .role "self-test" }}
{{- with $values.gateway.tls.existingSecret }}
- path: /etc/fed-sx/authorities
  volume:
    name: gateway-ca
    # One from a public authority has no ca.crt.
    secret: {secretName: {{ . }}, defaultMode: 288, optional: true, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}
{{- if has .role (list "gateway" "delivery" "toolbox") }}
{{- range $index, $peer := $values.federation.resolve }}
{{- with $peer.tls.caSecret }}
- path: /etc/fed-sx/peers/{{ $index }}
  volume:
    name: peer-{{ $index }}
    secret:
      secretName: {{ .name }}
      defaultMode: 288
      items: [{key: {{ default "ca.crt" .key }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- end }}
{{- if eq .role "log" }}
{{- if $values.bundle.files }}
- path: /etc/fed-sx/bundles/{{ $values.bundle.name }}
  volume:
    name: bundle
    configMap:
      name: {{ include "fed-sx.fullname" .root }}-bundle
      items:
        {{- range $path, $_ := $values.bundle.files }}
        - {key: {{ $path | replace "/" "--" }}, path: {{ $path }}}
        {{- end }}
{{- end }}
{{- with $values.blobs.existingClaim }}
- path: {{ trimPrefix "file://" $values.blobs.url }}
  writable: true
  volume:
    name: blobs
    persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}
{{- if has .role (list "projection" "toolbox" "self-test") }}
- path: /tmp
  writable: true
  volume:
    name: tmp
    # A number is written out: a template would give it an exponent.
    emptyDir: {sizeLimit: {{ ternary $values.projection.scratch "1Gi" (eq .role "projection") | toJson | trimAll "\"" | quote }}}
{{- end }}
{{- end -}}

{{/* volumeMounts and volumes of a role; (dict "root" $ "role" "log" "values" .Values.log). */}}
{{- define "fed-sx.mounts" -}}
{{- $mounts := list -}}
{{- range include "fed-sx.files" . | fromYamlArray -}}
{{- $mounts = append $mounts (dict "name" .volume.name "mountPath" .path "readOnly" (not .writable)) -}}
{{- end -}}
{{- with concat $mounts (default list .values.extraVolumeMounts) }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "fed-sx.volumes" -}}
{{- $volumes := list -}}
{{- range include "fed-sx.files" . | fromYamlArray -}}
{{- $volumes = append $volumes .volume -}}
{{- end -}}
{{- with concat $volumes (default list .values.extraVolumes) }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods may run; (dict "root" $ "role" "log" "values" .Values.log). */}}
{{- define "fed-sx.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "fed-sx.spread" -}}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "fed-sx.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.role }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end -}}
