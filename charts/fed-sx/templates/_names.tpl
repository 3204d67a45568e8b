{{/* Names, labels and the image. */}}

{{/* The prefix of every object's name: the release's, short enough for a pod's name behind it. */}}
{{- define "fed-sx.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "fed-sx.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods of the release. */}}
{{- define "fed-sx.selector" -}}
app.kubernetes.io/name: {{ include "fed-sx.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels, each key once: ours, over them `commonLabels`, over them those of one object. What pods have stays as it is when only the
     chart changes. (dict "root" $ "component" "log" "more" .Values.log.podLabels) */}}
{{- define "fed-sx.labels" -}}
{{- $labels := include "fed-sx.selector" .root | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "fed-sx" -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- with .component }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end -}}
{{- with .chart }}{{ $_ := set $labels "helm.sh/chart" . }}{{ end -}}
{{- range $theirs := list .root.Values.commonLabels .more -}}
{{- range $key, $value := $theirs }}{{ $_ := set $labels $key $value }}{{ end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* name, namespace and labels of an object; (dict "root" $ "name" "log" "component" "log" "more" dict). */}}
{{- define "fed-sx.metadata" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $name := list (include "fed-sx.fullname" .root) .name | compact | join "-" -}}
{{- /* Quoted where YAML would read something else: a release may be called `true`. */ -}}
{{- toYaml (dict "name" $name "namespace" .root.Release.Namespace) }}
labels:
  {{- include "fed-sx.labels" (dict "root" .root "component" .component "chart" $chart "more" .more) | nindent 2 }}
{{- end -}}

{{- define "fed-sx.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "fed-sx.serviceAccount" -}}
{{- $own := ternary (include "fed-sx.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{/* The Secret of the master key and the tokens. */}}
{{- define "fed-sx.secret" -}}
{{- default (printf "%s-secrets" (include "fed-sx.fullname" .)) .Values.secrets.existingSecret -}}
{{- end -}}

{{/* The command that gives delivery more pods: with a number in the values, Helm and `kubectl scale` would contend for it.
     (dict "root" $ "count" "3") */}}
{{- define "fed-sx.scale" -}}
{{- $delivery := .root.Values.delivery -}}
{{- $upgrade := printf "helm -n %s upgrade %s CHART --reset-then-reuse-values --set delivery" .root.Release.Namespace .root.Release.Name -}}
{{- if $delivery.keda.enabled -}}
{{ $upgrade }}.keda.maxReplicas={{ .count }}
{{- else if $delivery.autoscaling.enabled -}}
{{ $upgrade }}.autoscaling.maxReplicas={{ .count }}
{{- else if kindIs "invalid" $delivery.replicas -}}
kubectl -n {{ .root.Release.Namespace }} scale deploy/{{ include "fed-sx.fullname" .root }}-delivery --replicas={{ .count }}
{{- else -}}
{{ $upgrade }}.replicas={{ .count }}
{{- end -}}
{{- end -}}

{{/* The origin's host, without its port. */}}
{{- define "fed-sx.host" -}}
{{- (urlParse .Values.origin).hostname -}}
{{- end -}}

{{/* The port of the gateway's pods. */}}
{{- define "fed-sx.gatewayPort" -}}
{{- ternary 8443 8000 (not (empty .Values.gateway.tls.existingSecret)) -}}
{{- end -}}
