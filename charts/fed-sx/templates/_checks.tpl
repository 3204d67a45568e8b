{{/* What the schema cannot say: what is missing, and why. */}}
{{- define "fed-sx.check" -}}
{{- with .Values -}}
{{- if not .origin -}}
{{- fail "origin is required: who the domain is, as peers reach it, https://blog.example.org. It is part of every id and can never change" -}}
{{- end -}}
{{- if ne .origin (lower .origin) -}}
{{- fail (printf "origin is %q: it has to be in lower case, %s, since peers compare ids as they are written" .origin (lower .origin)) -}}
{{- end -}}
{{- $fullname := include "fed-sx.fullname" $ -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $fullname) -}}
{{- fail (printf "the release's name gives objects the prefix %q, of which Services cannot be called (small letters, digits and -, with a letter first): set fullnameOverride" $fullname) -}}
{{- end -}}
{{- if not .postgres.existingSecret -}}
{{- fail (printf "postgres.existingSecret is required: a Secret whose key %q holds postgres://user:password@host/name. The embedded store (SQLite) belongs to one process and is refused" .postgres.key) -}}
{{- end -}}
{{- if not .rabbitmq.existingSecret -}}
{{- fail (printf "rabbitmq.existingSecret is required: a Secret whose key %q holds amqp://user:password@host/vhost. The embedded queue belongs to one process and is refused" .rabbitmq.key) -}}
{{- end -}}
{{- if has (kindOf .image.tag) (list "int64" "float64") -}}
{{- fail "image.tag is a number, of which zeros may be lost: quote it in a file, or say --set-string image.tag=…" -}}
{{- end -}}
{{- if and .gateway.tls.existingSecret (hasPrefix "http:" .origin) -}}
{{- fail "gateway.tls.existingSecret is set, although the origin is http: peers would speak plain HTTP to a TLS port" -}}
{{- end -}}
{{- $isAddress := regexMatch "^\\[|(^|\\.)[0-9]+(:[0-9]+)?$" (urlParse .origin).host -}}
{{- if and .gateway.ingress.enabled $isAddress -}}
{{- fail (printf "gateway.ingress.enabled is true, although the origin %s is an address: an Ingress knows hosts by their names alone" .origin) -}}
{{- end -}}
{{- if and .gateway.tls.existingSecret $isAddress -}}
{{- fail (printf "gateway.tls.existingSecret is set, although the origin %s is an address: helm test finds a gateway with TLS by its name alone" .origin) -}}
{{- end -}}
{{- $builtIn := list "blog" "core" "events" -}}
{{- if not (or .bundle.files (has .bundle.name $builtIn)) -}}
{{- fail (printf "bundle.name is %q, which is no built-in bundle (%s), and bundle.files is empty" .bundle.name (join ", " $builtIn)) -}}
{{- end -}}
{{- if and .bundle.files (not (hasKey .bundle.files "bundle.yaml")) -}}
{{- fail "bundle.files has no bundle.yaml, which says what the bundle is called and who speaks in the domain" -}}
{{- end -}}
{{- if and (hasPrefix "file://" .blobs.url) (not .blobs.existingClaim) -}}
{{- fail "blobs.existingClaim is required where blobs.url is a folder: the volume that all replicas of log share" -}}
{{- end -}}
{{- if and .blobs.existingClaim (not (hasPrefix "file:///" .blobs.url)) -}}
{{- fail "blobs.url must be a folder, file:///var/lib/fed-sx/blobs, where blobs.existingClaim is set" -}}
{{- end -}}
{{- if and .smtp.from (not .smtp.existingSecret) -}}
{{- fail "smtp.from is set without smtp.existingSecret: no mail is sent at all" -}}
{{- end -}}
{{- if and .metrics.prometheusRule.enabled (not .metrics.serviceMonitor.enabled) -}}
{{- fail "metrics.prometheusRule needs metrics.serviceMonitor.enabled: its alerts are over the series that this brings" -}}
{{- end -}}
{{- include "fed-sx.check.resolve" . -}}
{{- range $role := list "gateway" "log" "projection" "delivery" -}}
{{- include "fed-sx.check.role" (dict "role" $role "values" (index $.Values $role) "sleep" $.Values.shutdown.preStopSeconds) -}}
{{- end -}}
{{- if and .delivery.keda.enabled .delivery.autoscaling.enabled -}}
{{- fail "delivery.keda and delivery.autoscaling are both enabled: one of them decides how many replicas there are" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of peers in this cluster, what the program would refuse at its start. */}}
{{- define "fed-sx.check.resolve" -}}
{{- $hosts := list -}}
{{- range .federation.resolve -}}
{{- if and .tls.caSecret (not .tls.enabled) -}}
{{- fail (printf "federation.resolve: %s has tls.caSecret, although tls.enabled is false" .host) -}}
{{- end -}}
{{- $host := trimSuffix ":443" .host -}}
{{- if has $host $hosts -}}
{{- fail (printf "federation.resolve: %s is there twice" .host) -}}
{{- end -}}
{{- $hosts = append $hosts $host -}}
{{- end -}}
{{- end -}}

{{/* Of numbers, those that contradict each other; (dict "role" "log" "values" .Values.log "sleep" 5). */}}
{{- define "fed-sx.check.role" -}}
{{- range $scaler := list "autoscaling" "keda" -}}
{{- with index $.values $scaler -}}
{{- if and .enabled (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- fail (printf "%s.%s.minReplicas is %d, more than maxReplicas, %d" $.role $scaler (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $needed := add .sleep 15 10 -}}
{{- with .values.terminationGracePeriodSeconds -}}
{{- if lt (int64 .) $needed -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d: a pod needs %d, shutdown.preStopSeconds, 15 for what it holds, and 10" $.role (int64 .) $needed) -}}
{{- end -}}
{{- end -}}
{{- end -}}
