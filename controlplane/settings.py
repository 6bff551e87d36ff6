"""Settings: everything from the environment, typed, with an embedded default that needs nothing installed.

A secret can also come from the file that ``NAME_FILE`` points to. A bad value stops the start with its name.
Times are in seconds and sizes in bytes unless the name says otherwise.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class _Variables(environ.fileaware_mapping.FileAwareMapping):  # type: ignore[misc]  # it publishes no types
    """The environment; the line end that an editor leaves in a secret's file is not part of the secret."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).rstrip("\r\n")


class _Env(environ.Env):  # type: ignore[misc]  # it publishes no types
    ENVIRON = _Variables()


env = _Env()

VAR = Path(env.str("COUNTERSIGN_VAR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = env.bool("COUNTERSIGN_DEBUG", default=False)
HTTPS = env.bool("COUNTERSIGN_HTTPS", default=False)  # behind a proxy that speaks TLS
PRODUCTION = env.bool("COUNTERSIGN_PRODUCTION", default=False)  # refuse the embedded conveniences


def _folder(name: str) -> Path:
    path = VAR / name
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _secret_key() -> str:
    """SECRET_KEY from the environment; embedded installations make one, once, readable by its owner only."""
    if given := env.str("SECRET_KEY", default=""):
        if len(given) < 50:
            raise ImproperlyConfigured("SECRET_KEY must have at least 50 characters.")
        return str(given)
    if PRODUCTION:
        raise ImproperlyConfigured("SECRET_KEY or SECRET_KEY_FILE must be set in production.")
    path = _folder("keys") / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
    except FileExistsError:
        pass
    return path.read_text()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "security.identity.apps.IdentityConfig",
    "security.access.apps.AccessConfig",
    "security.log.apps.LogConfig",
    "security.vault.apps.VaultConfig",
    "security.workload.apps.WorkloadConfig",
    "security.rest.apps.RestConfig",
    "pipelines.apps.PipelinesConfig",
    "governance.apps.GovernanceConfig",
    "governance.documents.apps.DocumentsConfig",
    "governance.notices.apps.NoticesConfig",
    "governance.risk.apps.RiskConfig",
    "governance.frameworks.apps.FrameworksConfig",
    "governance.policymaking.apps.PolicymakingConfig",
    "governance.waivers.apps.WaiversConfig",
    "controlplane.apps.ControlplaneConfig",
]

MIDDLEWARE = [
    "controlplane.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "controlplane.health.HealthMiddleware",  # before anything asks under which name we were called
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "security.identity.middleware.SessionMiddleware",
    "controlplane.middleware.ServiceErrorMiddleware",
    "security.identity.middleware.ThrottleMiddleware",
]

ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlplane.context.shell",
            ],
        },
    }
]

# ---------------------------------------------------------------------------------------------------- database

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{_folder('db') / 'countersign.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",  # a writer takes its lock at the start, so it never fails half-way
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ------------------------------------------------------------------------------------------------------- queue

EMBEDDED_QUEUE = "filesystem://localhost//"
BROKER_URL = env.str("BROKER_URL", default=EMBEDDED_QUEUE)
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True  # the database is the truth; Celery carries ids
CELERY_TASK_ACKS_LATE = False  # a lost message costs a retry by the reaper, never two runs of one attempt
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A worker only supervises: each step runs in a child process of its own, so threads are enough and share one server.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2)  # steps at a time
# Celery would close the database's connection before and after each task, and a new one costs as much as the task's own
# queries: never; controlplane.celery keeps connections as Django does between requests (CONN_MAX_AGE).
CELERY_DB_REUSE_MAX = 1_000_000_000
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = BROKER_URL != EMBEDDED_QUEUE
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        "data_folder_in": str(_folder("queue/messages")),
        "data_folder_out": str(_folder("queue/messages")),
        "control_folder": str(_folder("queue/control")),
        "store_processed": False,
        "polling_interval": 0.05,
    }
    if BROKER_URL == EMBEDDED_QUEUE
    else {"visibility_timeout": 3600}
)

# ------------------------------------------------------------------------------------------------------ engine

ENGINE_LEASE_SECONDS = env.int("ENGINE_LEASE_SECONDS", default=30)
ENGINE_REAP_SECONDS = env.int("ENGINE_REAP_SECONDS", default=10)
ENGINE_MAX_ATTEMPTS = env.int("ENGINE_MAX_ATTEMPTS", default=3)  # a step whose worker died that often is failed
ENGINE_SCRATCH = _folder("scratch")
# Folders that extract steps may read, first match wins; a path in a spec is relative to one of them.
SOURCE_ROOTS = [Path(root) for root in env.list("SOURCE_ROOTS", default=[str(_folder("data"))])]
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {"reap": {"task": "pipelines.reap", "schedule": ENGINE_REAP_SECONDS}}
CELERY_BEAT_SCHEDULE["documents"] = {"task": "documents.take_back", "schedule": 60}
CELERY_BEAT_SCHEDULE_FILENAME = str(_folder("queue") / "beat")

# --------------------------------------------------------------------------------------------------- audit log

LOG_KEY = Path(env.str("LOG_KEY", default=str(VAR / "keys" / "log_key")))  # signs checkpoints; made at first use
LOG_ORIGIN = env.str("LOG_ORIGIN", default="")  # the name that a new key signs under, such as example.org/countersign
MODEL_KEY = Path(env.str("MODEL_KEY", default=str(VAR / "keys" / "model_key.pem")))  # signs packages of models
STATEMENT_KEY = Path(env.str("STATEMENT_KEY", default=str(VAR / "keys" / "statement_key")))  # signs statements
# Who numbers events: a thread of each process that records, or manage.py log_sequencer alone.
LOG_SEQUENCER = env.str("LOG_SEQUENCER", default="thread")
if LOG_SEQUENCER not in ("thread", "process", "inline"):
    raise ImproperlyConfigured("LOG_SEQUENCER must be thread, process or inline.")
LOG_INCLUSION_SECONDS = env.float("LOG_INCLUSION_SECONDS", default=3.0)  # how long a decision waits for its number
LOG_MAX_BACKLOG = env.int("LOG_MAX_BACKLOG", default=20_000)  # events that may wait for a number
LOG_WAIT_SECONDS = env.float("LOG_WAIT_SECONDS", default=2.0)  # for the backlog to shrink, before one more is refused
LOG_LATE_SECONDS = env.float("LOG_LATE_SECONDS", default=60.0)  # verify_log reports an event that waits longer
LOG_PUBLIC = env.bool("LOG_PUBLIC", default=False)  # checkpoint and hash tiles below /log/ for everybody, never entries
LOG_POLICY = env.str("LOG_POLICY", default="")  # a file in C2SP tlog-policy form: the witnesses and how many are needed
LOG_PUSH_SECONDS = env.int("LOG_PUSH_SECONDS", default=10)  # how often witnesses, store and authority are looked after
LOG_TIMESTAMP_URL = env.str("LOG_TIMESTAMP_URL", default="")  # an RFC 3161 authority
LOG_TIMESTAMP_ROOTS = env.str("LOG_TIMESTAMP_ROOTS", default="")  # PEM file with the certificates to trust for it
LOG_TIMESTAMP_SECONDS = env.int("LOG_TIMESTAMP_SECONDS", default=3600)  # at most one time-stamp in so long
if LOG_TIMESTAMP_URL and not LOG_TIMESTAMP_ROOTS:
    raise ImproperlyConfigured("LOG_TIMESTAMP_ROOTS must name a PEM file when LOG_TIMESTAMP_URL is set.")
CELERY_BEAT_SCHEDULE["reviews"] = {"task": "governance.lapse", "schedule": 300}  # reading them needs no such task
CELERY_BEAT_SCHEDULE["log"] = {"task": "log.push", "schedule": LOG_PUSH_SECONDS}

# ------------------------------------------------------------------------------------------------------- vault

VAULT_KEYRING = Path(env.str("VAULT_KEYRING", default=str(VAR / "keys" / "keyring.json")))
# Where key-encryption keys live: by name, which stands in every wrapped key. "keyring" reads VAULT_KEYRING.
VAULT_KEY_PROVIDERS: dict[str, dict[str, str]] = {"keyring": {"KIND": "keyring"}}
if _url := env.str("TRANSIT_URL", default=""):
    VAULT_KEY_PROVIDERS["transit"] = {
        "KIND": "transit",
        "url": _url,
        "key": env.str("TRANSIT_KEY"),
        "token": "" if os.environ.get("TRANSIT_TOKEN_FILE") else env.str("TRANSIT_TOKEN"),
        "token_file": os.environ.get("TRANSIT_TOKEN_FILE", ""),  # by name: its content is renewed in place
        "mount": env.str("TRANSIT_MOUNT", default="transit"),
        "namespace": env.str("TRANSIT_NAMESPACE", default=""),
        "ca_file": env.str("TRANSIT_CA_FILE", default=""),
    }
if _key := env.str("KMS_KEY", default=""):
    VAULT_KEY_PROVIDERS["kms"] = {
        "KIND": "kms",
        "key": _key,
        "region": env.str("KMS_REGION"),
        "endpoint": env.str("KMS_ENDPOINT", default=""),
    }
if _module := env.str("PKCS11_MODULE", default=""):
    VAULT_KEY_PROVIDERS["pkcs11"] = {
        "KIND": "pkcs11",
        "module": _module,
        "token": env.str("PKCS11_TOKEN"),
        "pin": env.str("PKCS11_PIN"),
        "key": env.str("PKCS11_KEY"),
    }
VAULT_KEY_PROVIDER = env.str("VAULT_KEY_PROVIDER", default="keyring")  # wraps new data keys
if VAULT_KEY_PROVIDER not in VAULT_KEY_PROVIDERS:
    raise ImproperlyConfigured(
        f"VAULT_KEY_PROVIDER is {VAULT_KEY_PROVIDER!r}, and the settings of that provider are missing; "
        f"there are: {', '.join(VAULT_KEY_PROVIDERS)}."
    )
VAULT_KEY_CACHE_SECONDS = env.int("VAULT_KEY_CACHE_SECONDS", default=300)  # how long an opened data key is kept
VAULT_KEY_CACHE_KEYS = env.int("VAULT_KEY_CACHE_KEYS", default=1000)  # and how many at most
VAULT_ROOT = Path(env.str("VAULT_ROOT", default=str(VAR / "vault")))
VAULT_SCRUB_BYTES_PER_SECOND = env.int("VAULT_SCRUB_BYTES_PER_SECOND", default=50_000_000)
VAULT_SCRUB_SECONDS = env.int("VAULT_SCRUB_SECONDS", default=60)  # how long each scrub goes on
VAULT_SCRUB_EVERY_SECONDS = env.int("VAULT_SCRUB_EVERY_SECONDS", default=600)
# An object without a row is deleted when it is so old; a step may hold one for as long as it may run, seven days.
VAULT_ORPHAN_SECONDS = env.int("VAULT_ORPHAN_SECONDS", default=8 * 86_400)
CELERY_BEAT_SCHEDULE["vault.scrub"] = {"task": "vault.scrub", "schedule": VAULT_SCRUB_EVERY_SECONDS}
CELERY_BEAT_SCHEDULE["vault.collect"] = {"task": "vault.collect", "schedule": 86_400}
_FILES_VAULT: dict[str, Any] = {
    "BACKEND": "security.vault.storage.AtomicFileStorage",
    "OPTIONS": {"location": VAULT_ROOT, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
}
_S3_VAULT: dict[str, Any] = {  # needs requirements-aws.txt; credentials come the way boto3 finds them
    "BACKEND": "security.vault.s3.S3ObjectStorage",
    "OPTIONS": {
        "bucket_name": env.str("VAULT_S3_BUCKET", default=""),
        "location": env.str("VAULT_S3_FOLDER", default=""),
        "region_name": env.str("VAULT_S3_REGION", default="") or None,
        "endpoint_url": env.str("VAULT_S3_ENDPOINT", default="") or None,
    },
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR / "uploads"}},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
    "vault": _S3_VAULT if _S3_VAULT["OPTIONS"]["bucket_name"] else _FILES_VAULT,
}

# Where checkpoints of the audit log are kept outside: any Django storage, its options as a JSON object.
if _backend := env.str("LOG_STORE_BACKEND", default=""):
    STORAGES["checkpoints"] = {"BACKEND": _backend, "OPTIONS": env.json("LOG_STORE_OPTIONS", default={})}

# ----------------------------------------------------------------------------------------------------- notices

PUBLIC_URL = env.str("PUBLIC_URL", default="")  # where people reach the pages, for the links in what is sent to them
WEBHOOK_HOSTS = [host.lower() for host in env.list("WEBHOOK_HOSTS", default=[])]  # host or host:port; others never
EMAIL_CONFIGURED = bool(env.str("EMAIL_URL", default=""))
if EMAIL_CONFIGURED:
    _mail = env.email_url("EMAIL_URL")
    EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
    EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="countersign@localhost")
DIGEST_HOUR = env.int("DIGEST_HOUR", default=6)  # UTC
if not 0 <= DIGEST_HOUR <= 23:
    raise ImproperlyConfigured("DIGEST_HOUR must be an hour from 0 to 23.")
NOTICES_SECONDS = env.int("NOTICES_SECONDS", default=5)  # how often the log is read for what people are told of
CELERY_BEAT_SCHEDULE["notices"] = {"task": "notices.tell", "schedule": NOTICES_SECONDS}
CELERY_BEAT_SCHEDULE["digest"] = {"task": "notices.digest", "schedule": crontab(hour=DIGEST_HOUR, minute=0)}

# ---------------------------------------------------------------------------------------------------- identity

AUTH_USER_MODEL = "identity.User"
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
AUTHENTICATION_BACKENDS = ["security.identity.backend.PasswordBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "full_name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PROXIES = env.int("COUNTERSIGN_PROXIES", default=int(HTTPS))  # how many of ours stand between a client and us
# Whoever signs or administers needs a second factor; a local demo does without, and doctor says so.
REQUIRE_MFA = env.bool("COUNTERSIGN_REQUIRE_MFA", default=PRODUCTION)
# Days in which whoever gave a person their password counts as that person's hand, unless a second factor speaks.
CREDENTIALS_DAYS = env.int("COUNTERSIGN_CREDENTIALS_DAYS", default=30)
# Days that a role lasts at most, and without another end: whoever still needs it is granted it anew, by someone else.
GRANT_DAYS = env.int("COUNTERSIGN_GRANT_DAYS", default=365)
# Days after its submission in which a review has to be decided; then it lapses, since time never approves.
REVIEW_DAYS = env.int("COUNTERSIGN_REVIEW_DAYS", default=30)
if REVIEW_DAYS < 1:
    raise ImproperlyConfigured("COUNTERSIGN_REVIEW_DAYS must be at least 1.")
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
ALLAUTH_TRUSTED_PROXY_COUNT = PROXIES
ACCOUNT_ADAPTER = "security.identity.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = False  # security.identity.throttle: in the database, for all processes, counted before the try
MFA_ADAPTER = "security.identity.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Countersign"
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds that the clock of a phone may be off
USERSESSIONS_TRACK_ACTIVITY = False  # security.identity.sessions notes it, once a minute
# One OpenID Connect provider; without an issuer there is none, and nothing is asked over the network.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_ID = env.str("OIDC_ID", default="oidc")  # part of the callback's address and of every link: do not change it
OIDC_NAME = env.str("OIDC_NAME", default="your organisation")
if OIDC_ISSUER and PRODUCTION and not OIDC_ISSUER.startswith("https://"):
    raise ImproperlyConfigured("OIDC_ISSUER must be an https:// address in production.")
SOCIALACCOUNT_PROVIDERS = (
    {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": OIDC_ID,
                    "name": OIDC_NAME,
                    "client_id": env.str("OIDC_CLIENT_ID"),
                    "secret": env.str("OIDC_CLIENT_SECRET"),
                    "settings": {"server_url": OIDC_ISSUER},
                }
            ],
        }
    }
    if OIDC_ISSUER
    else {}
)
# Or one SAML 2.0 provider (requirements-saml.txt); the link of a person is to its subject-id, or its NameID.
SAML_IDP_ENTITY_ID = env.str("SAML_IDP_ENTITY_ID", default="")
SAML_ID = env.str("SAML_ID", default="saml")  # part of the addresses and of every link: do not change it
SAML_NAME = env.str("SAML_NAME", default="your organisation")
SAML_RULES = {
    "strict": True,
    "want_assertion_signed": True,
    "reject_deprecated_algorithm": True,
    "reject_idp_initiated_sso": True,
    "want_attribute_statement": False,
    "allow_single_label_domains": True,  # of this installation's own address
}
SIGN_IN_AT = OIDC_ISSUER
if SAML_IDP_ENTITY_ID:
    if OIDC_ISSUER:
        raise ImproperlyConfigured("OIDC_ISSUER and SAML_IDP_ENTITY_ID: one provider of sign-ins, not two.")
    SIGN_IN_AT = env.str("SAML_IDP_SSO_URL")
    if PRODUCTION and not SIGN_IN_AT.startswith("https://"):
        raise ImproperlyConfigured("SAML_IDP_SSO_URL must be an https:// address in production.")
    SOCIALACCOUNT_PROVIDERS = {
        "saml": {
            "APPS": [
                {
                    "provider_id": SAML_ID,
                    "name": SAML_NAME,
                    "client_id": SAML_ID,
                    "settings": {
                        "attribute_mapping": {"uid": "urn:oasis:names:tc:SAML:attribute:subject-id"},
                        "idp": {
                            "entity_id": SAML_IDP_ENTITY_ID,
                            "sso_url": SIGN_IN_AT,
                            "x509cert": env.str("SAML_IDP_CERTIFICATE", multiline=True),
                        },
                        "advanced": SAML_RULES,
                    },
                }
            ]
        }
    }
SOCIALACCOUNT_ADAPTER = "security.identity.sso.SocialAdapter"
SOCIALACCOUNT_ONLY = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_QUERY_EMAIL = False
# Issuers whose tokens can be exchanged for ours: {"github": {"kind": "github", "issuer": "https://…"}}; docs/ci.md
WORKLOAD_ISSUERS = env.json("WORKLOAD_ISSUERS", default={})
WORKLOAD_AUDIENCE = env.str("WORKLOAD_AUDIENCE", default="")
for _name, _issuer in WORKLOAD_ISSUERS.items():
    if not (isinstance(_issuer, dict) and _issuer.get("issuer") and _issuer.get("audience", WORKLOAD_AUDIENCE)):
        raise ImproperlyConfigured(f"WORKLOAD_ISSUERS: {_name} needs an issuer and an audience (WORKLOAD_AUDIENCE).")
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=3600)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
if HTTPS:  # RFC 6265bis: bound to this host, over TLS only, for every path
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "controlplane.views.refused_form"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        # a form's redirect counts as its action, and signing in through a provider is one
        "form-action": ["'self'", *(["/".join(SIGN_IN_AT.split("/")[:3])] if SIGN_IN_AT else [])],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
# A model file that is brought in, and any form with a file: a longer body is refused before it is read.
MODEL_UPLOAD_MAX_BYTES = env.int("MODEL_UPLOAD_MAX_BYTES", default=512 * 2**20)
FILE_UPLOAD_HANDLERS = [
    "security.uploads.SizeLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# --------------------------------------------------------------------------------------------------------- API

API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=1200)  # of one token or person
PAGES_PER_MINUTE = env.int("PAGES_PER_MINUTE", default=600)  # of one person; a live page asks once a second or two
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "security.rest.authentication.TokenAuthentication",
        "security.rest.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "security.rest.pagination.Pages",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "security.rest.problems.handle",
    "DEFAULT_THROTTLE_CLASSES": ["security.rest.throttling.PerToken"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Register pipelines, run them, read evidence and lineage, submit models for approval.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SERVE_AUTHENTICATION": None,
    "ENUM_NAME_OVERRIDES": {
        "RunState": "pipelines.models.RunState",
        "StepState": "pipelines.models.StepState",
        "ReviewState": "governance.models.ReviewState",
        "ExportState": "governance.documents.models.ExportState",
        "DocumentKind": "governance.documents.api_shapes.NAMES",
        "DocumentFormat": "governance.documents.api_shapes.FORMATS",
        "DocumentSubject": "governance.documents.api_shapes.NOUNS",
        "VoteDecision": "governance.models.Decision",
        "DraftState": "governance.policymaking.models.DraftState",
        "WaiverState": "governance.waivers.api.STATES",
        "WaiverDecided": "governance.waivers.api.DECISIONS",
        "LifeState": "security.rest.shapes.LIFE",
        "Role": "security.rest.shapes.ROLES",
        "Verdict": "security.rest.shapes.VERDICTS",
        "WebhookState": "governance.notices.models.WEBHOOK_STATES",
        "DeliveryState": "governance.notices.models.DeliveryState",
        "Tier": "governance.policy.TIERS",
        "IncidentSeverity": "governance.risk.models.Severity",
        "RuleSeverity": "governance.api_shapes.RULE_SEVERITIES",
        "ControlState": "governance.frameworks.api_shapes.CONTROL_STATES",
        "ApprovalStatus": "governance.api_shapes.STATUSES",
        "AttestationStatus": "governance.frameworks.api_shapes.ATTESTATION_STATUSES",
        "CrosswalkStrength": "governance.frameworks.api_shapes.CROSSWALK_STRENGTHS",
    },
}

# ------------------------------------------------------------------------------------------------------- pages

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = False
STATIC_ROOT = Path(env.str("STATIC_ROOT", default="") or _folder("static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "presidio-analyzer": {"level": "WARNING"},
    },
}
