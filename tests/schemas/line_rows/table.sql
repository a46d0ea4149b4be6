-- A reporting table made by a join of orders and line items: one row a line.
CREATE TABLE orders (
  id int unsigned NOT NULL AUTO_INCREMENT,
  order_name varchar(32) NOT NULL,
  created_at datetime NOT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  sku varchar(64) DEFAULT NULL,
  title varchar(255) NOT NULL,
  price decimal(10,2) NOT NULL,
  quantity int NOT NULL,
  PRIMARY KEY (id)
);
