"""Makes what a Keystone of the tests starts from: database, keys, users, the image service.

    OS_KEYSTONE_CONFIG_FILES=CONF keystone_seed.py DIR IDENTITY_URL IMAGE_URL

DIR/seed.json says who is who. Keystone's application is called in this process: no server, no port.
"""
import getpass
import grp
import json
import os
import sqlite3
import subprocess
import sys

DIR, IDENTITY, IMAGE = sys.argv[1:]
CONF = os.environ['OS_KEYSTONE_CONFIG_FILES']


def manage(*arguments):
    subprocess.run(['/usr/bin/keystone-manage', '--config-file', CONF] + list(arguments),
                   check=True, stdout=subprocess.DEVNULL)


manage('db_sync')
with sqlite3.connect(os.path.join(DIR, 'keystone.sqlite')) as db:
    # Keystone writes over two connections at once: in the usual mode one waits for the other for ever.
    db.execute('PRAGMA journal_mode = WAL')
owner = ['--keystone-user', getpass.getuser(), '--keystone-group', grp.getgrgid(os.getgid()).gr_name]
for keys in ('fernet', 'cred'):
    os.mkdir(os.path.join(DIR, keys), 0o700)
manage('fernet_setup', *owner)
manage('credential_setup', *owner)
urls = []
for interface in ('admin', 'public', 'internal'):
    urls += ['--bootstrap-%s-url' % interface, IDENTITY + '/v3/']
manage('bootstrap', '--bootstrap-password', 'secret', '--bootstrap-username', 'admin',
       '--bootstrap-project-name', 'admin', '--bootstrap-role-name', 'admin',
       '--bootstrap-service-name', 'keystone', '--bootstrap-region-id', 'RegionOne', *urls)

sys.argv = ['keystone']  # it reads its own options from there
from keystone.server import wsgi  # noqa: E402
import webob  # noqa: E402

application = wsgi.initialize_public_application()


def call(method, path, body=None, token=None):
    request = webob.Request.blank(IDENTITY + '/v3' + path, method=method)
    if body is not None:
        request.content_type = 'application/json'
        request.body = json.dumps(body).encode()
    if token:
        request.headers['X-Auth-Token'] = token
    response = request.get_response(application)
    if response.status_int >= 300:
        sys.exit('%s %s: %s %s' % (method, path, response.status, response.text))
    return response


def token_of(user):
    domain = {'id': 'default'}
    return call('POST', '/auth/tokens', {'auth': {
        'identity': {'methods': ['password'],
                     'password': {'user': {'name': user['name'], 'domain': domain,
                                           'password': user['password']}}},
        'scope': {'project': {'name': user['project'], 'domain': domain}},
    }}).headers['X-Subject-Token']


admin = {'name': 'admin', 'password': 'secret', 'project': 'admin'}
admin_token = token_of(admin)
me = call('GET', '/auth/projects', token=admin_token).json['projects'][0]
admin['project_id'] = me['id']
admin['user_id'] = call('GET', '/users?name=admin', token=admin_token).json['users'][0]['id']


def make(kind, **what):
    return call('POST', '/%ss' % kind, {kind: what}, admin_token).json[kind]['id']


def person(name, password, project, role):
    ids = {'project_id': make('project', name=project, domain_id='default'),
           'user_id': make('user', name=name, password=password, domain_id='default')}
    role_id = call('GET', '/roles?name=' + role, token=admin_token).json['roles'][0]['id']
    call('PUT', '/projects/%s/users/%s/roles/%s' % (ids['project_id'], ids['user_id'], role_id),
         token=admin_token)
    return dict(ids, name=name, password=password, project=project)


service_id = make('service', name='glance', type='image')
for interface in ('public', 'internal', 'admin'):
    make('endpoint', service_id=service_id, interface=interface, region_id='RegionOne', url=IMAGE)
service = person('glance', 'glancepw', 'service', 'admin')
demo = person('demo', 'demopw', 'demo', 'member')
credential = call('POST', '/users/%s/application_credentials' % demo['user_id'],
                  {'application_credential': {'name': 'img', 'secret': 'acsecret'}},
                  token_of(demo)).json['application_credential']

with open(os.path.join(DIR, 'seed.json'), 'w') as out:
    json.dump({'admin': admin, 'service': service, 'demo': demo,
               'application_credential': {'id': credential['id'], 'name': 'img',
                                          'secret': 'acsecret'}}, out)
