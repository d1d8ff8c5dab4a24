{{- define "bve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters: a StatefulSet's pods have a hash of ten behind it in a label of at most 63. */}}
{{- define "bve.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "bve.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bve.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bve.selector" -}}
app.kubernetes.io/name: {{ include "bve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bve.labels" -}}
{{ include "bve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "bve.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bve.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "bve.secret" -}}
{{- default (include "bve.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- define "bve.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What every path of the ops listener begins with. */}}
{{- define "bve.prefix" -}}
{{- with .Values.ops.externalUrl -}}
{{- trimSuffix "/" (urlParse .).path -}}
{{- end -}}
{{- end -}}

{{/* What a schema cannot say of values that need each other. */}}
{{- define "bve.check" -}}
{{- if not .Values.existingSecret -}}
{{- if not .Values.secret.credentials -}}
{{- fail "existingSecret or secret.credentials is needed: what Bandwidth sends, USER:PASSWORD" -}}
{{- end -}}
{{- if and .Values.postgresql.enabled (not (and .Values.secret.databasePassword .Values.secret.ledgerKey)) -}}
{{- fail "postgresql.enabled needs secret.databasePassword and secret.ledgerKey, or existingSecret" -}}
{{- end -}}
{{- else if or .Values.secret.credentials .Values.secret.databasePassword .Values.secret.ledgerKey .Values.secret.databaseCa -}}
{{- fail "existingSecret takes the place of what is in secret: give one of them" -}}
{{- end -}}
{{- if and .Values.postgresql.enabled (not .Values.postgresql.url) -}}
{{- fail "postgresql.enabled needs postgresql.url" -}}
{{- end -}}
{{- if and .Values.postgresql.url (not .Values.postgresql.enabled) -}}
{{- fail "postgresql.url is given, and postgresql.enabled is not true" -}}
{{- end -}}
{{- if and .Values.postgresql.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- fail "networkPolicy.egress must let the exporter reach the database and DNS" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled -}}
{{- fail "podMonitor and serviceMonitor would count everything twice: enable one of them" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- end -}}

{{/* An endpoint of either monitor: a dict of the monitor's values and the prefix. */}}
{{- define "bve.endpoint" -}}
port: ops
path: {{ .prefix }}/metrics
interval: {{ .monitor.interval }}
relabelings:
  - targetLabel: job
    replacement: {{ .monitor.job }} # what the rules and dashboards select by
  # Counters go on after a restart, and so must their series: a pod's address would be new.
  - sourceLabels: [__meta_kubernetes_pod_name]
    targetLabel: instance
{{- with .monitor.endpoint }}
{{ toYaml . }}
{{- end }}
{{- end -}}
