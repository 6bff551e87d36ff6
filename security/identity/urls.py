from allauth.socialaccount.providers.openid_connect import views as oidc
from django.urls import path

from security.identity import factor_views, saml, sso, views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/second-factor/", factor_views.sign_in_second_factor, name="mfa_authenticate"),
    path("sign-in/refused/", sso.refused, name="sign-in-refused"),
    path("sign-in/through/<slug:provider_id>/", oidc.login, name="openid_connect_login"),
    path("sign-in/through/<slug:provider_id>/callback/", oidc.callback, name="openid_connect_callback"),
    path("sign-in/saml/<slug:organization_slug>/", saml.login, name="saml_login"),
    path("sign-in/saml/<slug:organization_slug>/answer/", saml.answer, name="saml_acs"),
    path("sign-in/saml/<slug:organization_slug>/finish/", saml.finish, name="saml_finish_acs"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("first-password/", views.first_password, name="first-password"),
    path("settings/", views.settings, name="settings"),
    path("settings/password/", views.password, name="password"),
    path("settings/sessions/end-others/", views.sessions_end, name="sessions-end"),
    path("settings/sessions/<int:pk>/end/", views.session_end, name="session-end"),
    path("settings/tokens/<uuid:pk>/revoke/", views.token_revoke, name="token-revoke"),
    path("settings/second-factor/", factor_views.second_factor, name="second-factor"),
    path("settings/second-factor/passkey/", factor_views.passkey_add, name="passkey-add"),
    path("settings/second-factor/challenge/", factor_views.passkey_challenge, name="passkey-challenge"),
    path("settings/second-factor/recovery-codes/", factor_views.recovery_codes, name="recovery-codes"),
    path("settings/second-factor/<int:pk>/remove/", factor_views.factor_remove, name="factor-remove"),
    # the names by which django-allauth asks for our pages
    path("sign-in/", views.SignIn.as_view(), name="account_login"),
    path("sign-in/saml/<slug:organization_slug>/", saml.login, name="saml_metadata"),
    path("sign-in/saml/<slug:organization_slug>/", saml.login, name="saml_sls"),
    path("sign-in/refused/", sso.refused, name="account_inactive"),
    path("sign-in/refused/", sso.refused, name="account_signup"),
    path("sign-in/refused/", sso.refused, name="socialaccount_login_error"),
    path("sign-in/refused/", sso.refused, name="socialaccount_login_cancelled"),
    path("sign-in/refused/", sso.refused, name="socialaccount_signup"),
]
