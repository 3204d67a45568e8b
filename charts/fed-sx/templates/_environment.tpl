{{/* What each role is told: only what it needs, and of the secrets no more than that. */}}

{{/* A setting's value as the environment has it: lists by commas, whole numbers without exponents. */}}
{{- define "fed-sx.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if kindIs "float64" . -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* (list "FEDSX_DATABASE" "secret" "key") */}}
{{- define "fed-sx.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end -}}

{{/* (dict "root" $ "tokens" (list "gateway")) */}}
{{- define "fed-sx.tokens" -}}
{{- range .tokens }}
{{ include "fed-sx.fromSecret" (list (printf "FEDSX_TOKEN_%s" (upper .)) (include "fed-sx.secret" $.root) (printf "token-%s" .)) }}
{{- end }}
{{- end -}}

{{- define "fed-sx.masterKey" -}}
{{ include "fed-sx.fromSecret" (list "FEDSX_MASTER_KEY" (include "fed-sx.secret" .) "master-key") }}
{{- end -}}

{{- define "fed-sx.database" -}}
{{ include "fed-sx.fromSecret" (list "FEDSX_DATABASE" .Values.postgres.existingSecret .Values.postgres.key) }}
{{- end -}}

{{/* Where other roles answer; (dict "root" $ "services" (list "log")). */}}
{{- define "fed-sx.urls" -}}
{{- $scheme := ternary "https" "http" (not (empty .root.Values.internalTls.existingSecret)) }}
{{- range .services }}
- name: FEDSX_{{ upper . }}_URLS
  value: {{ $scheme }}://{{ include "fed-sx.fullname" $.root }}-{{ . }}:9000
{{- end }}
{{- if eq $scheme "https" }}
- name: FEDSX_TLS_CA
  value: /etc/fed-sx/tls/ca.crt
{{- end }}
{{- end -}}

{{/* Where a role's gRPC server answers. */}}
{{- define "fed-sx.grpc" -}}
- name: FEDSX_GRPC_LISTEN
  value: {{ printf "%s:9000" .Values.bindAddress | quote }}
{{- if .Values.internalTls.existingSecret }}
- name: FEDSX_TLS_CERTIFICATE
  value: /etc/fed-sx/tls/tls.crt
- name: FEDSX_TLS_KEY
  value: /etc/fed-sx/tls/tls.key
{{- end }}
{{- end -}}

{{/* Where peers answer inside of the cluster. */}}
{{- define "fed-sx.resolve" -}}
{{- $entries := list -}}
{{- range $index, $peer := .Values.federation.resolve -}}
{{- $scheme := ternary "https" "http" $peer.tls.enabled -}}
{{- $ca := ternary (printf "?ca=/etc/fed-sx/peers/%d/ca.crt" $index) "" (not (empty $peer.tls.caSecret)) -}}
{{- $entries = append $entries (printf "%s=%s://%s:%s%s" $peer.host $scheme $peer.service (include "fed-sx.resolve.port" $peer) $ca) -}}
{{- end -}}
{{- with $entries }}
- name: FEDSX_RESOLVE
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- define "fed-sx.resolve.port" -}}
{{- default (ternary 8443 8000 .tls.enabled) .port | int64 -}}
{{- end -}}

{{/* What every role is told. */}}
{{- define "fed-sx.env.every" -}}
- name: FEDSX_ORIGIN
  value: {{ .Values.origin }}
- name: FEDSX_REPLICA
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- name: FEDSX_ADMIN_LISTEN
  value: {{ printf "%s:9100" .Values.bindAddress | quote }}
{{- with .Values.otlp.endpoint }}
- name: FEDSX_OTLP
  value: {{ . }}
{{- end }}
{{- end -}}

{{- define "fed-sx.env.gateway" -}}
- name: FEDSX_LISTEN
  value: {{ printf "%s:%s" .Values.bindAddress (include "fed-sx.gatewayPort" .) | quote }}
{{- if .Values.gateway.tls.existingSecret }}
- name: FEDSX_LISTEN_TLS_CERTIFICATE
  value: /etc/fed-sx/listen/tls.crt
- name: FEDSX_LISTEN_TLS_KEY
  value: /etc/fed-sx/listen/tls.key
{{- end }}
{{- include "fed-sx.urls" (dict "root" . "services" (list "log" "projection")) }}
{{- include "fed-sx.resolve" . }}
{{- with .Values.federation.trustedOrigins }}
- name: FEDSX_TRUSTED_ORIGINS
  value: {{ join "," . | quote }}
{{- end }}
{{- include "fed-sx.tokens" (dict "root" . "tokens" (list "gateway")) }}
{{- end -}}

{{- define "fed-sx.env.log" -}}
{{ include "fed-sx.grpc" . }}
- name: FEDSX_BUNDLE
  value: {{ ternary (printf "/etc/fed-sx/bundles/%s" .Values.bundle.name) .Values.bundle.name (not (empty .Values.bundle.files)) }}
{{- with .Values.blobs.url }}
- name: FEDSX_BLOBS
  value: {{ . }}
{{- end }}
{{- with .Values.blobs.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . }}
{{- end }}
{{- with .Values.blobs.region }}
- name: AWS_REGION
  value: {{ . }}
{{- end }}
{{- with .Values.blobs.existingSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
{{ include "fed-sx.fromSecret" (list . $.Values.blobs.existingSecret .) }}
{{- end }}
{{- end }}
{{ include "fed-sx.database" . }}
{{ include "fed-sx.masterKey" . }}
{{- include "fed-sx.tokens" (dict "root" . "tokens" (list "gateway" "projection" "delivery" "site" "operator")) }}
{{- end -}}

{{- define "fed-sx.env.projection" -}}
{{ include "fed-sx.grpc" . }}
{{- $follows := .Values.federation.follows }}
{{- include "fed-sx.urls" (dict "root" . "services" (ternary (list "log" "delivery") (list "log") (not (empty $follows)))) }}
{{- with $follows }}
- name: FEDSX_FOLLOWS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.smtp.existingSecret }}
{{ include "fed-sx.fromSecret" (list "FEDSX_SMTP" . $.Values.smtp.key) }}
{{- end }}
{{- with .Values.smtp.from }}
- name: FEDSX_MAIL_FROM
  value: {{ . | quote }}
{{- end }}
{{ include "fed-sx.database" . }}
{{- include "fed-sx.tokens" (dict "root" . "tokens" (list "projection" "gateway" "site" "operator")) }}
{{- end -}}

{{- define "fed-sx.env.delivery" -}}
{{ include "fed-sx.grpc" . }}
{{- include "fed-sx.urls" (dict "root" . "services" (list "log")) }}
{{- include "fed-sx.resolve" . }}
{{ include "fed-sx.database" . }}
{{ include "fed-sx.fromSecret" (list "FEDSX_BROKER" .Values.rabbitmq.existingSecret .Values.rabbitmq.key) }}
{{ include "fed-sx.masterKey" . }}
{{- include "fed-sx.tokens" (dict "root" . "tokens" (list "delivery" "site" "operator")) }}
{{- end -}}

{{/* What client commands are told. */}}
{{- define "fed-sx.env.client" -}}
{{- include "fed-sx.urls" (dict "root" . "services" (list "log" "projection" "delivery")) }}
{{- with .Values.jaeger.url }}
- name: FEDSX_JAEGER
  value: {{ . }}
{{- end }}
{{- include "fed-sx.tokens" (dict "root" . "tokens" (list "operator")) }}
{{- end -}}

{{/* What `fedsx types fetch` is told: it reaches peers from the toolbox, as the gateway does. */}}
{{- define "fed-sx.env.fetch" -}}
{{- include "fed-sx.resolve" . }}
{{- with default (.Values.settings).plain_peers (.Values.gateway.settings).plain_peers }}
- name: FEDSX_PLAIN_PEERS
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{/* A role's `settings` over those of all; (dict "root" $ "role" "log"). */}}
{{- define "fed-sx.settings" -}}
{{- $settings := dict -}}
{{- range $key, $value := .root.Values.settings }}{{ $_ := set $settings $key $value }}{{ end -}}
{{- range $key, $value := (index .root.Values .role).settings }}{{ $_ := set $settings $key $value }}{{ end -}}
{{- range $key, $value := $settings }}
- name: FEDSX_{{ upper $key }}
  value: {{ include "fed-sx.text" $value | quote }}
{{- end }}
{{- end -}}
