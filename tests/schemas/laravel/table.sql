-- A Laravel application: $table->string() for prices, softDeletes(), timestamps() of the row beside the order's date.
CREATE TABLE orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  shopify_order_id varchar(255) NOT NULL,
  order_number varchar(255) NOT NULL,
  customer_email varchar(255) DEFAULT NULL,
  total_price varchar(255) NOT NULL,
  subtotal_price varchar(255) DEFAULT NULL,
  total_discounts varchar(255) DEFAULT NULL,
  total_shipping varchar(255) DEFAULT NULL,
  total_tax varchar(255) DEFAULT NULL,
  currency varchar(255) NOT NULL,
  financial_status varchar(255) DEFAULT NULL,
  fulfillment_status varchar(255) DEFAULT NULL,
  line_items json DEFAULT NULL,
  created_at_shopify datetime DEFAULT NULL,
  cancelled_at datetime DEFAULT NULL,
  created_at timestamp NULL DEFAULT NULL,
  updated_at timestamp NULL DEFAULT NULL,
  deleted_at timestamp NULL DEFAULT NULL,
  PRIMARY KEY (id)
);
