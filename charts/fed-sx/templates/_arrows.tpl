{{/* The parts of NetworkPolicies. */}}

{{- define "fed-sx.policy.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "fed-sx.metadata" . | nindent 2 }}
{{- end -}}

{{/* Ports of TCP, by number or by name, and of UDP where they are DNS's; (dict "ports" (list 53) "udp" true). */}}
{{- define "fed-sx.policy.ports" -}}
ports:
{{- range .ports }}
  {{- $port := ternary (int64 .) (quote .) (regexMatch "^[0-9]+$" (toString .)) }}
  - {protocol: TCP, port: {{ $port }}}
  {{- if $.udp }}
  - {protocol: UDP, port: {{ $port }}}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Pods of this release; (dict "root" $ "roles" (list "log")). */}}
{{- define "fed-sx.policy.pods" -}}
matchLabels:
  {{- include "fed-sx.selector" .root | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " .roles }}]}
{{- end -}}

{{/* A rule for roles of this release, in either direction; (dict "root" $ "way" "to" "roles" (list "log") "port" 9000), which is the
     port of their services where it is left out. */}}
{{- define "fed-sx.policy.roles" -}}
- {{ .way }}:
    - podSelector:
        {{- include "fed-sx.policy.pods" . | nindent 8 }}
  {{- include "fed-sx.policy.ports" (dict "ports" (list (default 9000 .port))) | nindent 2 }}
{{- end -}}

{{/* A rule as the values have it, anywhere where they name nobody; (dict "way" "to" "peers" list "ports" list). */}}
{{- define "fed-sx.policy.outside" -}}
- {{ include "fed-sx.policy.ports" . | nindent 2 | trim }}
  {{- with .peers }}
  {{ $.way }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Addresses of the internet, and the pods that `federation.resolve` names. */}}
{{- define "fed-sx.policy.peers" -}}
{{- $own := .Values.networkPolicy.peers }}
{{- if $own.cidrs }}
- to:
    {{- range $cidr := $own.cidrs }}
    - ipBlock:
        cidr: {{ $cidr }}
        {{- if hasSuffix "/0" $cidr }}
        except:
          {{- range $own.except }}
          {{- if eq (contains ":" .) (contains ":" $cidr) }}
          - {{ . }}
          {{- end }}
          {{- end }}
        {{- end }}
    {{- end }}
  {{- include "fed-sx.policy.ports" $own | nindent 2 }}
{{- end }}
{{- range $peer := .Values.federation.resolve }}
{{- $name := splitList "." (trimSuffix "." $peer.service) }}
{{- $pods := default dict $peer.pods }}
{{- $namespace := default (index (append $name $.Release.Namespace) 1) $pods.namespace }}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $namespace | quote }}}}
      podSelector:
        matchLabels:
        {{- if $pods.selector }}
          {{- toYaml $pods.selector | nindent 10 }}
        {{- else }}
          app.kubernetes.io/instance: {{ trimSuffix "-gateway" (first $name) | quote }}
          app.kubernetes.io/component: gateway
        {{- end }}
  {{- include "fed-sx.policy.ports" (dict "ports" (list (default (include "fed-sx.resolve.port" $peer) $pods.port))) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What every role but the clients reaches. */}}
{{- define "fed-sx.policy.dns" -}}
{{ include "fed-sx.policy.outside" (dict "way" "to" "peers" .Values.networkPolicy.dns.to "ports" .Values.networkPolicy.dns.ports "udp" true) }}
{{- end -}}

{{/* A rule for one of the places that `networkPolicy` names; (dict "root" $ "place" "otlp" "url" "http://otel:4317"), whose port
     it is where the values name none. */}}
{{- define "fed-sx.policy.place" -}}
{{- $place := index .root.Values.networkPolicy .place -}}
{{- $ports := $place.ports -}}
{{- if not $ports -}}
{{- $url := urlParse .url -}}
{{- $ports = list (regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary 80 443 (eq $url.scheme "http"))) -}}
{{- end -}}
{{ include "fed-sx.policy.outside" (dict "way" "to" "peers" $place.to "ports" $ports) }}
{{- end -}}

{{- define "fed-sx.policy.traces" -}}
{{- if .Values.otlp.endpoint }}
{{ include "fed-sx.policy.place" (dict "root" . "place" "otlp" "url" .Values.otlp.endpoint) }}
{{- end }}
{{- end -}}

{{/* Prometheus, where it is asked for. */}}
{{- define "fed-sx.policy.scrape" -}}
{{- if .Values.metrics.serviceMonitor.enabled }}
{{ include "fed-sx.policy.outside" (dict "way" "from" "peers" .Values.networkPolicy.prometheus.from "ports" (list 9100)) }}
{{- end }}
{{- end -}}
