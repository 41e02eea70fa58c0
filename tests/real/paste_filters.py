"""Paste filters that the tests put into Glance's pipeline."""
import hashlib
import json


class Recorder(object):
    """Outermost: one JSON line in `log` for each request that is over."""

    def __init__(self, app, log):
        self.app = app
        self.log = log

    def __call__(self, environ, start_response):
        token = environ.get('HTTP_X_AUTH_TOKEN', '')
        record = {
            'method': environ['REQUEST_METHOD'],
            'path': environ.get('SCRIPT_NAME', '') + environ['PATH_INFO'],
            'query': environ.get('QUERY_STRING', ''),
            'range': environ.get('HTTP_RANGE', ''),
            # Enough to tell two tokens apart, nothing to be used by anybody.
            'token': hashlib.sha256(token.encode()).hexdigest()[:12] if token else '',
            'status': 0,
            'sent': 0,
        }

        def started(status, headers, exc_info=None):
            record['status'] = int(status.split()[0])
            return start_response(status, headers, exc_info)

        return _Counted(self.app(environ, started), record, self.log)


class _Counted(object):
    def __init__(self, body, record, log):
        self.body = body
        self.record = record
        self.log = log

    def __iter__(self):
        for piece in self.body:
            # A generator may call start_response with its first piece, so the status is looked at last.
            self.record['sent'] += len(piece)
            yield piece

    def close(self):
        try:
            if hasattr(self.body, 'close'):
                self.body.close()
        finally:
            with open(self.log, 'a') as log:
                log.write(json.dumps(self.record) + '\n')


def recorder(global_conf, log):
    return lambda app: Recorder(app, log)


class FakeAuth(object):
    """Takes `user:project:role[,role]` for a token: true 401, 403 and 404 without Keystone."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        for name in ('X_IDENTITY_STATUS', 'X_USER_ID', 'X_TENANT_ID', 'X_ROLES'):
            environ.pop('HTTP_' + name, None)
        token = environ.get('HTTP_X_AUTH_TOKEN', '').split(':')
        if len(token) == 3:
            environ['HTTP_X_USER_ID'], environ['HTTP_X_TENANT_ID'], environ['HTTP_X_ROLES'] = token
        environ['HTTP_X_IDENTITY_STATUS'] = 'Confirmed' if len(token) == 3 else 'Invalid'
        return self.app(environ, start_response)


def fakeauth(global_conf):
    return FakeAuth
