import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import okhttp3.OkHttp;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import org.json.JSONArray;
import org.json.JSONObject;

/** One client of the API: `java JvmClients.java CLIENT ADDRESS KEY`. Prints what it got as JSON. */
class JvmClients {
    public static void main(String[] arguments) throws Exception {
        String address = arguments[1] + "/fetch-data";
        boolean jdk = arguments[0].equals("JDK HttpClient");
        String body = jdk ? jdk(address, arguments[2]) : okHttp(address, arguments[2]);
        JSONArray rows = new JSONObject(body).getJSONArray("data");
        JSONArray names = new JSONArray();
        for (int i = 0; i < rows.length(); i++) names.put(rows.getJSONObject(i).getString("customer_name"));
        String version = jdk ? System.getProperty("java.version") : OkHttp.VERSION;
        byte[] said = new JSONObject().put("names", names).put("version", version).toString().getBytes("UTF-8");
        System.out.write(said, 0, said.length);
        System.out.flush();
        System.exit(0); // threads of a client's pool wait for a minute
    }

    static String jdk(String address, String key) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(address)).header("X-API-Key", key).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    static String okHttp(String address, String key) throws Exception {
        Request request = new Request.Builder().url(address).header("X-API-Key", key).build();
        try (okhttp3.Response response = new OkHttpClient().newCall(request).execute()) {
            return response.body().string();
        }
    }
}
