{{/* What the schema cannot say: what is missing, and why. */}}
{{- define "fed-sx.check" -}}
{{- with .Values -}}
{{- if not .origin -}}
{{- fail "origin is required: who the domain is, as peers reach it, https://blog.example.org. It is part of every id and can never change" -}}
{{- end -}}
{{- if not .postgres.existingSecret -}}
{{- fail (printf "postgres.existingSecret is required: a Secret whose key %q holds postgres://user:password@host/name. The embedded store (SQLite) belongs to one process and is refused" .postgres.key) -}}
{{- end -}}
{{- if not .rabbitmq.existingSecret -}}
{{- fail (printf "rabbitmq.existingSecret is required: a Secret whose key %q holds amqp://user:password@host/vhost. The embedded queue belongs to one process and is refused" .rabbitmq.key) -}}
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
{{- if and .delivery.keda.enabled .delivery.autoscaling.enabled -}}
{{- fail "delivery.keda and delivery.autoscaling are both enabled: one of them decides how many replicas there are" -}}
{{- end -}}
{{- end -}}
{{- end -}}
