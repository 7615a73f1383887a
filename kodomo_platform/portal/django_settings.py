"""Django's settings of the portal: those of the operations database, and what a web application needs beside them.

Named in ``DJANGO_SETTINGS_MODULE`` by the portal's own process alone: the pipeline goes on with
`operations.django_settings`. Where things live is `kodomo_platform.settings`' business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pylopdf_fonts_cjk
from csp.constants import NONE, SELF

from kodomo_platform.operations import django_settings as _base
from kodomo_platform.operations.django_settings import *  # noqa: F403
from kodomo_platform.portal.sealing_key import derived
from kodomo_platform.settings import get_settings

_settings = get_settings()
_here = Path(__file__).parent

SECRET_KEY = derived("django")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver", *filter(None, _settings.portal_hosts.split(","))]
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in filter(None, _settings.portal_hosts.split(","))]

INSTALLED_APPS = [
    *_base.INSTALLED_APPS,
    "kodomo_platform.portal.apps.PortalConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "csp",
]
#: the pipeline's start brings its own tables up to date; those of the web application are `portal.serving`'s business
KODOMO_MIGRATED_APPS = ["operations"]

MIDDLEWARE = [
    "kodomo_platform.portal.middleware.plain_faults",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "kodomo_platform.portal.middleware.careful_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "kodomo_platform.portal.middleware.chosen_language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "kodomo_platform.portal.middleware.at_the_desk",
    # last: it turns a lock-out into an answer
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "kodomo_platform.portal.urls"
WSGI_APPLICATION = "kodomo_platform.portal.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_here / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kodomo_platform.portal.context.desk",
            ],
        },
    }
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "today"

ACCOUNT_ADAPTER = "kodomo_platform.portal.signing_in.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# lock-out is axes' business, in the database: allauth's counters live in one process's memory
ACCOUNT_RATE_LIMITS = False
MFA_ADAPTER = "kodomo_platform.portal.signing_in.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "kodomo"
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
SOCIALACCOUNT_ADAPTER = "kodomo_platform.portal.signing_in.OwnProviderAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "APPS": [
            {
                "provider_id": "town",
                "name": _settings.portal_oidc_name or "OpenID Connect",
                "client_id": _settings.portal_oidc_client,
                "secret": _settings.portal_oidc_secret,
                "settings": {"server_url": _settings.portal_oidc_url},
            }
        ]
        if _settings.portal_oidc_url
        else []
    }
}

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.5  # hours
# the name alone: many people of one office share an address, and a name tried from many addresses is one attack
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_USERNAME_CALLABLE = "kodomo_platform.portal.signing_in.name_tried"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "kodomo_platform.portal.signing_in.locked_out"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 15 * 60  # idle
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "kodomo_platform.portal.views.faults.csrf"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _settings.portal_tls
SECURE_SSL_REDIRECT = _settings.portal_tls
SECURE_HSTS_SECONDS = 31_536_000 if _settings.portal_tls else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _settings.portal_tls
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _settings.portal_tls else None
#: W006 wants the address in the lock-out: see AXES_LOCKOUT_PARAMETERS. The rest is about TLS, which is said elsewhere
SILENCED_SYSTEM_CHECKS = ["axes.W006"]
if not _settings.portal_tls:
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W012", "security.W016"]
if _settings.portal_tls:
    # a name with this beginning is taken by browsers from this host over TLS alone
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: []
    for name in (
        "camera",
        "microphone",
        "geolocation",
        "payment",
        "usb",
        "display-capture",
        "accelerometer",
        "gyroscope",
    )
}

LANGUAGE_CODE = "ja"
LANGUAGES = [("ja", "日本語"), ("en", "English")]
LANGUAGE_COOKIE_NAME = "kodomo_language"
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = None
#: the fonts lie in a package of their own
STATICFILES_DIRS: list[tuple[str, str]] = [("fonts", str(Path(pylopdf_fonts_cjk.__file__).parent))]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# the files are few, and found where the package lies: no step of collecting them before the first start
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
