<?php
/**
 * A control panel as web hosts have one: a login form of its own, perhaps a code after it, a page with a link, and
 * phpMyAdmin under a path that carries the session. It is the router of PHP's web server; nginx asks it at `/check`
 * whether a path and a cookie belong together before it passes a request on to phpMyAdmin.
 *
 * The environment names the panel's login (LAB_CONTROL_PANEL, as JSON), which includes that of the database.
 */

declare(strict_types=1);

require __DIR__ . '/google2fa.php';

$known = json_decode((string) getenv('LAB_CONTROL_PANEL'), true);
$path = (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

session_name('panelsession');
session_start(['cookie_httponly' => true]);
$_SESSION['form'] ??= bin2hex(random_bytes(16));

function page(string $title, string $body, int $status = 200): void
{
    http_response_code($status);
    echo "<!doctype html><html lang=\"en\"><head><title>$title</title></head><body><h1>$title</h1>$body</body></html>";
}

function form(string $action, string $fields, string $problem = ''): string
{
    $alert = $problem === '' ? '' : "<div class=\"notice error\">$problem</div>";

    return "$alert<form id=\"login\" method=\"post\" action=\"$action\">"
        . "<input type=\"hidden\" name=\"form\" value=\"{$_SESSION['form']}\">$fields"
        . '<button type="submit" id="login_submit">Log in</button></form>';
}

function go(string $address): void
{
    header("Location: $address", true, 303);
}

function enter(): void
{
    session_regenerate_id(true);
    $_SESSION = ['form' => bin2hex(random_bytes(16)), 'path' => '/cpsess' . random_int(1_000_000_000, 9_999_999_999)];
    go($_SESSION['path'] . '/home');
}

$ours = $_SERVER['REQUEST_METHOD'] === 'POST' && hash_equals($_SESSION['form'], (string) ($_POST['form'] ?? ''));
$login = '<label>User <input name="user" id="user"></label>'
    . '<label>Password <input name="pass" id="pass" type="password"></label>';
$code = '<label>Security code <input name="code" id="code" autocomplete="off"></label>';
$prefix = $_SESSION['path'] ?? null;

if ($path === '/check') {
    $asked = (string) parse_url($_SERVER['HTTP_X_ORIGINAL_URI'] ?? '', PHP_URL_PATH);
    http_response_code($prefix !== null && str_starts_with($asked, "$prefix/") ? 204 : 401);
} elseif ($path === '/login/') {
    if (! $ours) {
        page('Panel', form('/login/', $login));
    } elseif ($_POST['user'] !== $known['username'] || $_POST['pass'] !== $known['password']) {
        page('Panel', form('/login/', $login, 'The login is invalid.'), 401);
    } elseif ($known['totp_secret'] !== '') {
        $_SESSION['half'] = true;
        go('/login/code');
    } else {
        enter();
    }
} elseif ($path === '/login/code' && isset($_SESSION['half'])) {
    if (! $ours) {
        page('Panel', form('/login/code', $code));
    } elseif ((new PragmaRX\Google2FAQRCode\Google2FA())->verifyKey($known['totp_secret'], (string) $_POST['code'])) {
        enter();
    } else {
        page('Panel', form('/login/code', $code, 'The security code is invalid.'), 401);
    }
} elseif ($prefix !== null && $path === "$prefix/home") {
    page('Panel', "<ul><li><a href=\"$prefix/mail\">Mail</a></li>"
        . "<li><a id=\"item_php_my_admin\" target=\"_blank\" href=\"$prefix/open/phpmyadmin\">phpMyAdmin</a></li></ul>");
} elseif ($prefix !== null && $path === "$prefix/open/phpmyadmin") {
    session_write_close();
    session_name('SignonSession');
    session_id(bin2hex(random_bytes(16)));
    session_start(['cookie_path' => $prefix]);
    $_SESSION['PMA_single_signon_user'] = $known['database_username'];
    $_SESSION['PMA_single_signon_password'] = $known['database_password'];
    go("$prefix/3rdparty/phpMyAdmin/index.php");
} else {
    go('/login/');
}
