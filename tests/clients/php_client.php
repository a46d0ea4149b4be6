<?php
// A client of the API: `php php_client.php ADDRESS KEY`. Prints what it got as JSON. With curl, then with streams.
[, $api, $key] = $argv;
$curl = curl_init("$api/fetch-data");
curl_setopt_array($curl, [CURLOPT_HTTPHEADER => ["X-API-Key: $key"], CURLOPT_RETURNTRANSFER => true,
    CURLOPT_ENCODING => '']);
$rows = json_decode(curl_exec($curl), true, 512, JSON_THROW_ON_ERROR)['data'];
$query = http_build_query(['fields' => ['id', 'customer_name'], 'limit' => 3]);
$context = stream_context_create(['http' => ['header' => "X-API-Key: $key"]]);
$first = json_decode(file_get_contents("$api/fetch-data?$query", false, $context), true, 512, JSON_THROW_ON_ERROR);
$names = array_column($rows, 'customer_name');
if (array_column($first['data'], 'customer_name') !== array_slice($names, 0, 3)) {
    exit(1);
}
echo json_encode(['names' => $names, 'version' => PHP_VERSION . ', curl ' . curl_version()['version']]);
