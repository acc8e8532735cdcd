"""The catalogue of ordinary edits: what owners do to a generated service in its first month.

An edit is a function that changes a project as its owner would, and adds the owner's test of it.
Its docstring says what must stay true. Edits that get along are grouped under an owner.
"""

from support.edits import (
    database,
    endpoints,
    middleware,
    mounts,
    settings,
    testing,
    whole_service,
)
from support.edits.project import Edit

# Those of one owner get along in one project. Middleware is added from the inside out.
OWNERS: dict[str, list[Edit]] = {
    "ada": [
        middleware.no_op_middleware,
        middleware.process_time,
        middleware.body_in_middleware,
        middleware.copied_scope,
        middleware.gzip,
        middleware.https_redirect,
        middleware.starlette_problems,
        middleware.prometheus,
        endpoints.streams,
        endpoints.upload,
        settings.extended_document,
        settings.renamed_program,
        settings.renamed_cookie_or_parameter,
        settings.own_field_in_each_line,
        testing.deleted_examples,
    ],
    "ben": [
        mounts.static_files,
        mounts.sub_application,
        mounts.sub_application_that_requires_a_key,
        mounts.versions,
        mounts.refusing_websocket,
        mounts.wsgi_application,
        mounts.graphql,
        mounts.bigger_application,
        middleware.trusted_hosts,
        middleware.fastapi_problems,
        mounts.single_page_application,
    ],
    "cleo": [
        endpoints.crud_router,
        endpoints.background_tasks,
        endpoints.logger_extra,
        endpoints.other_schemes,
        endpoints.public_endpoints,
        endpoints.new_scope,
        middleware.sessions,
        middleware.opentelemetry,
        middleware.problems_of_401,
        settings.own_responses,
        settings.required_setting,
        settings.settings_of_other_types,
        testing.tutorial_test,
        testing.dependency_overrides,
    ],
    "dan": [
        settings.new_setting,
        settings.new_default,
        settings.new_rate_limit,
        settings.renamed_header,
        settings.second_location,
        settings.own_description,
        settings.lifespan,
        middleware.handler_of_errors,
        middleware.sentry,
        endpoints.routes_of_every_kind,
        database.new_table,
        database.foreign_key,
        database.no_key_routes,
    ],
    "eve": [
        whole_service.moved_health_checks,
        whole_service.path_prefix,
        whole_service.handlers_of_statuses,
        whole_service.security_headers,
        whole_service.options_of_all_endpoints,
        whole_service.document_of_get_openapi,
        whole_service.no_license,
        whole_service.catch_all_route,
    ],
}
